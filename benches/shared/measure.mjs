// Taking turns, medians, and where the files of a measurement go.
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

/**
 * Runs every contender (an async function that resolves with a figure) once to warm up, then once per round. Every other round
 * is in reverse order, so that no contender always follows the same one. Returns the figures of all rounds by
 * contender.
 */
export async function alternate(rounds, contenders, { warmUp = true } = {}) {
  const entries = Object.entries(contenders).filter(([, turn]) => turn)
  if (warmUp) for (const [, turn] of entries) await turn()
  const figures = Object.fromEntries(entries.map(([name]) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, turn] of round % 2 === 0 ? entries : entries.toReversed()) figures[name].push(await turn())
  }
  return figures
}

/** The median over the rounds of a's figure divided by b's: disturbances of a whole round cancel out. */
export const ratio = (a, b) => a && b && median(a.map((figure, round) => figure / b[round]))

/** Asks a predictor. No opinion is a valid answer, too: then there is a `reason`. */
export async function predicted(predictor, candles) {
  const { success, reason, error } = await predictor.predict(candles)
  if (!success && !reason) throw new Error(error)
}

/** Microseconds that `act` takes on average. */
export async function microseconds(times, act) {
  const begin = performance.now()
  for (let i = 0; i < times; i++) await act()
  return ((performance.now() - begin) / times) * 1e3
}

/** Runs `work(folder)` with an empty folder under `parent` and removes it. */
export async function inFolder(parent, work) {
  const folder = mkdtempSync(join(parent, 'signalloop-bench-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Lets `callers` run `act` repeatedly for `ms` and returns how often it ran per second. A fifth of that time is run before and not
 * counted, so that pending writes of the previous contender reach the disk.
 */
export async function perSecond(ms, callers, act) {
  const run = async (ms) => {
    let count = 0
    const begin = performance.now()
    const caller = async () => {
      while (performance.now() - begin < ms) {
        await act()
        count++
      }
    }
    await Promise.all(Array.from({ length: callers }, caller))
    return (count / (performance.now() - begin)) * 1000
  }
  await run(ms / 5)
  return run(ms)
}
