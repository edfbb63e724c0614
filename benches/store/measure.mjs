// Taking turns, medians, and where the files of a measurement go.
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

/**
 * Lets every contender (an async function that resolves with a figure) have one turn to warm up, then one in each round,
 * each round beginning with another. Returns the figures of all rounds by contender.
 */
export async function alternate(rounds, contenders, { warmUp = true } = {}) {
  const entries = Object.entries(contenders).filter(([, turn]) => turn)
  if (warmUp) for (const [, turn] of entries) await turn()
  const figures = Object.fromEntries(entries.map(([name]) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < entries.length; i++) {
      const [name, turn] = entries[(round + i) % entries.length]
      figures[name].push(await turn())
    }
  }
  return figures
}

/** The median over the rounds of a's figure by b's: what slows a whole round down cancels out. */
export const ratio = (a, b) => a && b && median(a.map((figure, round) => figure / b[round]))

/** Runs `work(folder)` with an empty folder under `parent` and removes it. */
export async function inFolder(parent, work) {
  const folder = mkdtempSync(join(parent, 'signalloop-bench-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs `act` over and over until `ms` are over and returns how often it ran a second. */
export async function perSecond(ms, callers, act) {
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
