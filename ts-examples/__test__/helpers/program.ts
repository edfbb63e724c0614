import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const ROOT = join(__dirname, '..', '..')

export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

interface Started {
  child: ChildProcess
  ended: Promise<Ended>
}

/** How a TypeScript file is run: a program, and its arguments before the file. */
export type Runtime = readonly [program: string, ...args: string[]]

/** The program of a runtime that comes as an npm package, one for each platform. */
function binaryOf(scope: string, file: string): string {
  const folder = join(ROOT, 'node_modules', scope)
  const [platform, ...others] = readdirSync(folder)
  if (platform === undefined || others.length > 0) throw new Error(`${folder} must have the package of this platform; it has ${readdirSync(folder)}`)
  return join(folder, platform, file)
}

const ending = process.platform === 'win32' ? '.exe' : ''
export const NODE: Runtime = [process.execPath, '--import', 'tsx']
export const BUN: Runtime = [binaryOf('@oven', `bin/bun${ending}`)]
export const DENO: Runtime = [binaryOf('@deno', `deno${ending}`), 'run', '--allow-all']

function start([program, ...args]: Runtime, env: NodeJS.ProcessEnv): Started {
  const child = spawn(program, args, { cwd: ROOT, env: { ...process.env, ...env } })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  child.stdin.end()
  return { child, ended: once(child, 'close').then(([code]) => ({ code, stdout, stderr })) }
}

/** Runs a program in the folder of the examples until it ends by itself. */
export const runProgram = (program: Runtime, env: NodeJS.ProcessEnv): Promise<Ended> => start(program, env).ended

/** Runs an example until it ends by itself. */
export const run = (file: string, env: NodeJS.ProcessEnv, runtime = NODE): Promise<Ended> => runProgram([...runtime, join(ROOT, file)], env)

/** A program that serves: where, and how to end it as a system would. */
export interface Server {
  url: string
  stop(): Promise<Ended>
}

/** Starts a program and waits for the line that names its URL. */
export async function serve(program: Runtime, env: NodeJS.ProcessEnv): Promise<Server> {
  const { child, ended } = start(program, env)
  const url = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const found = /https?:\/\/[\w.]+:\d+/.exec(line)
      if (found) resolve(found[0])
    })
  })
  const early = ended.then(({ code, stderr }) => Promise.reject(new Error(`it ended with ${code}: ${stderr}`)))
  // Once it serves, an end is what `stop()` waits for.
  early.catch(() => {})
  return {
    url: await Promise.race([url, early]),
    async stop() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
      return ended.finally(() => clearTimeout(timer))
    },
  }
}

/** Starts an example that serves. */
export const serveExample = (file: string, env: NodeJS.ProcessEnv, runtime = NODE): Promise<Server> =>
  serve([...runtime, join(ROOT, file)], { PORT: '0', ...env })

/** Starts the simulated exchange, which speaks Binance's public REST API. */
export const startSimulator = (...symbols: string[]): Promise<Server> => {
  const cli = join(ROOT, 'node_modules', 'signalloop', 'bin', 'signalloop.js')
  return serve([process.execPath, cli, 'simulator', '--seed', '3', '--symbols', symbols.join(',')], {})
}

/** Asks until `read` is content. */
export async function eventually<T>(ask: () => Promise<T>, content: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const answer = await ask()
    if (content(answer)) return answer
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(answer)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
