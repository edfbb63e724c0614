// The learners of peers.py.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { SIGNALS_A_DAY, SYMBOLS, TIMEFRAMES } from './market.mjs'

const SCRIPT = fileURLToPath(new URL('./peers.py', import.meta.url))
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
