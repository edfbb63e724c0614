import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const homes: string[] = []

afterAll(() => {
  for (const home of homes.splice(0)) rmSync(home, { recursive: true, force: true })
})

/** An empty folder, gone after the tests of the file. */
export function newHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'signalloop-example-'))
  homes.push(home)
  return home
}
