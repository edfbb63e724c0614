import { ROOT, spawnKept } from './child'

/** What to type, once what is shown ends like this. */
export type Typed = [shown: RegExp, typed: string]

interface Terminal {
  /** Its width. */
  columns?: number
  /** What is typed, in this order. */
  typed?: Typed[]
}

/** Runs node on a terminal of its own (`script` of util-linux makes one), and gives what is shown there and how it ended. */
export function useTerminal(args: string[], env: NodeJS.ProcessEnv, { columns = 120, typed = [] }: Terminal = {}): Promise<{ code: number | null; shown: string }> {
  const quoted = [process.execPath, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  const { CI: _, ...inherited } = process.env
  const command = `stty cols ${columns} rows 50; exec ${quoted}`
  const child = spawnKept('script', ['--quiet', '--return', '--command', command, '/dev/null'], { cwd: ROOT, env: { ...inherited, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
  const left = [...typed]
  let [shown, seen] = ['', 0]
  child.stdout.on('data', (text) => {
    shown += text
    const next = left[0]
    if (!next?.[0].test(shown.slice(seen))) return
    left.shift()
    seen = shown.length
    child.stdin.write(next[1])
  })
  child.stderr.on('data', (text) => (shown += text))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      child.stdin.destroy()
      if (left.length > 0) reject(new Error(`${left[0]![0]} was not shown: ${shown}`))
      else resolve({ code, shown: shown.replaceAll('\r\n', '\n') })
    })
  })
}

/** What is shown where node ends well. */
export async function runOnTerminal(args: string[], env: NodeJS.ProcessEnv, terminal: Terminal = {}): Promise<string> {
  const { code, shown } = await useTerminal(args, env, terminal)
  if (code !== 0) throw new Error(`it ended with ${code}: ${shown}`)
  return shown
}
