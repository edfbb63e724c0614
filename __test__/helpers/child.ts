import { spawn } from 'node:child_process'
import { join } from 'node:path'

export const ROOT = join(__dirname, '..', '..')

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
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...process.env, ...env } })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr, ms: Date.now() - started }))
  })
}
