import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export const ROOT = join(__dirname, '..', '..')

/** Children that have not ended, and whether each has a group of its own, with whatever it started. */
const alive = new Map<ChildProcess, boolean>()

/** Node's `spawn`, of a child that does not outlive the tests of the file: one that a failed test leaves behind would keep Jest for good. */
export const spawnKept = ((command: string, args: string[], options: { detached?: boolean }) => {
  const child = spawn(command, args, options)
  alive.set(child, options.detached === true)
  child.once('close', () => alive.delete(child)).once('error', () => alive.delete(child))
  return child
}) as typeof spawn

afterAll(async () => {
  const ending = [...alive].map(([child, hasGroup]) => {
    const ended = once(child, 'close')
    if (hasGroup) process.kill(-child.pid!, 'SIGKILL')
    else child.kill('SIGKILL')
    return ended
  })
  await Promise.all(ending)
})

export interface Ended {
  code: number | null
  stdout: string
  stderr: string
  /** How long it lived. */
  ms: number
}

/** Runs node with these arguments until it ends by itself; `input` is its program when there is no file to run. */
export function runNode(args: string[], { env = {}, input = '' }: { env?: NodeJS.ProcessEnv; input?: string } = {}): Promise<Ended> {
  const started = Date.now()
  const child = spawnKept(process.execPath, args, { cwd: ROOT, env: { ...process.env, ...env } })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr, ms: Date.now() - started }))
  })
}
