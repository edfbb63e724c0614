import { ROOT, spawnKept } from './child'

/** Runs node on a terminal of its own (`script` of util-linux makes one), and gives what is shown there. */
export function runOnTerminal(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const quoted = [process.execPath, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  const { CI: _, ...inherited } = process.env
  const child = spawnKept('script', ['--quiet', '--return', '--command', quoted, '/dev/null'], { cwd: ROOT, env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let [shown, complaint] = ['', '']
  child.stdout.on('data', (text) => (shown += text))
  child.stderr.on('data', (text) => (complaint += text))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => (code === 0 ? resolve(shown) : reject(new Error(`it ended with ${code}: ${shown}${complaint}`))))
  })
}
