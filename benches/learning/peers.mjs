// The learners of peers.py, in the worlds that the product lives through.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { TAKEN_FIRST } from './product.mjs'
import { FEE_PERCENT } from './worlds.mjs'

const SCRIPT = fileURLToPath(new URL('./peers.py', import.meta.url))

/** Lets the peers play in worlds with their checkpoints; `heard(number of the world, contender, found)` is called as they come. */
export async function playPeers(python, cases, { jobs, only }, heard) {
  const folder = mkdtempSync(join(tmpdir(), 'signalloop-bench-'))
  try {
    cases.forEach(({ world: { spec, signals }, checkpoints }, i) => {
      const { onlyTaken, change } = spec
      const about = { onlyTaken, changes: change !== undefined, takenFirst: TAKEN_FIRST, feePercent: FEE_PERCENT, signals, checkpoints }
      writeFileSync(join(folder, `${i}.json`), JSON.stringify(about))
    })
    const child = spawn(python, [SCRIPT, folder, `${cases.length}`, `${jobs}`, ...only], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
    for await (const line of createInterface({ input: child.stdout })) {
      const { case: index, contender, found } = JSON.parse(line)
      heard(index, contender, found)
    }
    const code = await ended
    if (code !== 0) throw new Error(`${SCRIPT} ended with ${code}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
