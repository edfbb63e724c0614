// signalloop in a world, as a backend uses it: each signal is assessed before it is recorded, and its outcome is told when it has closed.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignalLoop } from '../../index.js'
import { FEE_PERCENT } from './worlds.mjs'

const ENTRY = 100
const HOURS = { '1h': 1, '4h': 4 }
/** Where only what was taken is recorded, a backend takes so many before it listens. */
export const TAKEN_FIRST = 50

function input({ id, t, pair, timeframe, strategy, direction, stopPercent, rewardRisk, expiryBars, indicators }) {
  return {
    id, pair, timeframe, strategy, signalType: direction > 0 ? 'BUY' : 'SELL', confidence: 60, entryPrice: ENTRY,
    stopLoss: ENTRY * (1 - (direction * stopPercent) / 100),
    takeProfit: ENTRY * (1 + (direction * stopPercent * rewardRisk) / 100),
    timestamp: t,
    expiresAt: expiryBars === undefined ? undefined : t + expiryBars * HOURS[timeframe] * 3_600_000,
    indicators,
  }
}

/**
 * When each checkpoint is, `{ known, index, t }`: before the first signal at whose time so many outcomes are known. Where only what
 * was taken is recorded, so many signals have been given, which is the same for every contender.
 */
export function checkpointsOf({ signals, spec }, counts) {
  const ends = signals.map(({ closed }) => closed).sort((a, b) => a - b)
  return counts.map((known) => {
    const index = spec.onlyTaken ? known : signals.findIndex(({ t }) => t >= ends[known - 1])
    if (index < 0 || index >= signals.length) throw new Error(`the world has too few signals for ${known} outcomes`)
    return { known, index, t: signals[index].t }
  })
}

/** What is said of a signal: the probability of success, whether to take it, and R expected after costs. */
const answer = ({ successProbability: p, take, expectedR }, { rewardRisk, stopPercent }) => ({
  p, take, r: expectedR ?? p * (1 + rewardRisk) - 1 - FEE_PERCENT / stopPercent,
})

/** The answers to the questions of each checkpoint, by its number, and the seconds of all processors that it took. */
export async function play(world, checkpoints) {
  const begin = process.cpuUsage()
  const home = mkdtempSync(join(tmpdir(), 'signalloop-bench-'))
  const loop = new SignalLoop({ home })
  loop.configure({ durability: 'os' })
  const tracker = loop.feedbackTracker
  const ask = async (question) => answer(await tracker.assess(input(question)), question)
  const found = {}
  let open = []
  try {
    for (const [index, signal] of world.signals.entries()) {
      if (index > checkpoints.at(-1).index) break
      const over = open.filter(({ closed }) => closed <= signal.t).sort((a, b) => a.closed - b.closed)
      open = open.filter(({ closed }) => closed > signal.t)
      for (const { id, outcome, profitPercent, closed } of over) {
        const told = await tracker.updateOutcome({ signalId: id, outcome, profitLossPercent: profitPercent, closedAt: closed })
        if (!told) throw new Error(`${id} was not closed`)
      }
      for (const { known, questions } of checkpoints.filter((checkpoint) => checkpoint.index === index)) {
        found[known] = await Promise.all(questions.map(ask))
      }
      const { take } = await ask(signal)
      if (world.spec.onlyTaken && index >= TAKEN_FIRST && !take) continue
      await tracker.recordSignal(input(signal))
      open.push(signal)
    }
  } finally {
    await loop.close()
    rmSync(home, { recursive: true, force: true })
  }
  const { user, system } = process.cpuUsage(begin)
  return { found, seconds: (user + system) / 1e6 }
}
