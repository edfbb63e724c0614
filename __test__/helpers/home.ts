import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignalLoop, type LoopOptions } from '../..'

/** An exchange that refuses every connection. */
export const NOWHERE = 'http://127.0.0.1:9'

const homes: string[] = []
const loops: SignalLoop[] = []

afterAll(async () => {
  await Promise.all(loops.splice(0).map((loop) => loop.close()))
  for (const home of homes.splice(0)) rmSync(home, { recursive: true, force: true })
})

/** An empty folder, gone after the tests of the file. */
export function newHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'signalloop-test-'))
  homes.push(home)
  return home
}

/** A loop on a home of its own, without a network, with small forests. */
export function newLoop(options: LoopOptions = {}): SignalLoop {
  const loop = new SignalLoop({ home: newHome(), exchangeUrl: NOWHERE, threads: 1, ...options })
  loop.configure({ trees: 10 })
  loops.push(loop)
  return loop
}

/** Every file of a folder with its content, to compare before and after. */
export function contents(folder: string): Record<string, string> {
  if (!existsSync(folder)) return {}
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return Object.fromEntries(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name)
      return [path, readFileSync(path, 'hex')]
    }),
  )
}

/** The records of a home's log, the last line of each id. */
export function records(home: string): Map<string, Record<string, unknown>> {
  const lines = readFileSync(join(home, 'feedback', 'signals.jsonl'), 'utf8').split('\n').filter(Boolean)
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  return new Map(parsed.map((record) => [String(record.signal_id), record]))
}

/** What a promise rejects with, or a function throws; fails when neither happens. */
export async function failure(work: () => unknown): Promise<Error & { code?: string }> {
  let value: unknown
  try {
    value = await work()
  } catch (error) {
    return error as Error & { code?: string }
  }
  throw new Error(`expected an error, got ${JSON.stringify(value)?.slice(0, 300)}`)
}
