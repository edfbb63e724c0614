import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ROOT } from './child'

export interface Postgres {
  url: string
  stop(): Promise<void>
}

/** A PostgreSQL of its own, by `scripts/postgres.mjs`; `undefined` where none is installed. */
export async function startPostgres(): Promise<Postgres | undefined> {
  const child = spawn(process.execPath, [join(ROOT, 'scripts', 'postgres.mjs')], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  const { value: line } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()
  if (line === undefined) {
    const [code] = await ended
    if (code !== 3) throw new Error('PostgreSQL is here and cannot be started')
    return undefined
  }
  return {
    url: JSON.parse(line).url,
    async stop() {
      child.stdin.end()
      await ended
    },
  }
}
