// The learners of peers.py, installed on demand into benches/peers/.venv.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { SIGNALS_A_DAY, SYMBOLS, TIMEFRAMES } from './market.mjs'

const SCRIPT = fileURLToPath(new URL('./peers.py', import.meta.url))
const FOLDER = fileURLToPath(new URL('../peers/', import.meta.url))
const VENV = join(FOLDER, '.venv')
const PYTHON = join(VENV, ...(process.platform === 'win32' ? ['Scripts', 'python.exe'] : ['bin', 'python']))

/** Runs a command; the end of its complaint where it fails, nothing where it does not. */
function complaint(command, ...args) {
  const { status, error, stderr } = spawnSync(command, args, { cwd: FOLDER, encoding: 'utf8' })
  return status === 0 ? undefined : (error?.message ?? stderr.trim().split('\n').at(-1) ?? `${command} ended with ${status}`)
}

/** The pinned versions, in words. */
const versions = () =>
  readFileSync(join(FOLDER, 'requirements.txt'), 'utf8').match(/^[\w-]+==.*$/gm).join(', ').replaceAll('==', ' ')

/** `{ python, versions }`, or `{ missing }` with the reason why there is none. */
export function python() {
  if (!existsSync(PYTHON)) {
    console.error('installing the peers into benches/peers/.venv …')
    const system = process.platform === 'win32' ? 'python' : 'python3'
    const reason = complaint(system, '-m', 'venv', '.venv')
    if (reason) return { missing: `peers left out, no Python environment can be made: ${reason}` }
  }
  const reason = complaint(PYTHON, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt')
  return reason ? { missing: `peers left out, they cannot be installed: ${reason}` } : { python: PYTHON, versions: versions() }
}

const indicatorsOf = (signals) => [...new Set(signals.flatMap(({ indicators }) => Object.keys(indicators)))].sort()

/** Lets all peers play all cases; `heard(case, contender, stated)` is called as they come. */
export async function playPeers(python, cases, jobs, heard) {
  const names = indicatorsOf(cases[0].signals)
  const row = ({ symbol, timeframe, direction, indicators }) => [
    SYMBOLS.indexOf(symbol),
    TIMEFRAMES.indexOf(timeframe),
    direction,
    ...names.map((name) => indicators[name] ?? null),
  ]
  const written = cases.map(({ signals, fresh, checkpoints, daily }) => ({
    signals: signals.map(row),
    success: signals.map(({ success }) => Number(success)),
    fresh: fresh.map(row),
    checkpoints,
    daily,
  }))
  const folder = mkdtempSync(join(tmpdir(), 'signalloop-bench-'))
  try {
    const job = join(folder, 'job.json')
    writeFileSync(job, JSON.stringify({ jobs, signalsADay: SIGNALS_A_DAY, cases: written }))
    const child = spawn(python, [SCRIPT, job], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
    for await (const line of createInterface({ input: child.stdout })) {
      const { case: index, contender, ...stated } = JSON.parse(line)
      heard(cases[index], contender, stated)
    }
    const code = await ended
    if (code !== 0) throw new Error(`${SCRIPT} ended with ${code}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
