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

/** The price so many stop distances for a signal; `by` is a part of the price by which it lies further on. */
const priceAt = ({ direction, stopPercent }, r, by = 0) => ENTRY * (1 + direction * ((stopPercent * r) / 100 + by))

/** Targets and stop rules of a managed signal, as `recordSignal` takes them. */
function managed(signal) {
  const { targetsR: [first, last], shares, rest } = signal.managed
  const stopRules =
    rest === 'trail' ? { trail: { distance: (ENTRY * signal.stopPercent * first) / 100, activateAtR: first } } : { breakEvenAfterTarget: 1 }
  return { takeProfits: [first, last].map((r, i) => ({ price: priceAt(signal, r), share: shares[i] })), stopRules }
}

function input(signal) {
  const { id, t, pair, timeframe, strategy, direction, rewardRisk, expiryBars, indicators } = signal
  return {
    id, pair, timeframe, strategy, signalType: direction > 0 ? 'BUY' : 'SELL', confidence: 60, entryPrice: ENTRY,
    stopLoss: priceAt(signal, -1),
    ...(signal.managed ? managed(signal) : { takeProfit: priceAt(signal, rewardRisk) }),
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

/** Tells the end of a signal. A managed one is closed by its prices, as its targets and its stop rules say. */
async function tellEnd(tracker, signal) {
  const { id, pair, outcome, profitPercent, stopPercent, closed, course } = signal
  if (!course) return tracker.updateOutcome({ signalId: id, outcome, profitLossPercent: profitPercent, closedAt: closed })
  const { reached, best, rest } = course
  const [first] = signal.managed.targetsR
  // A rounding error beyond a level reaches it surely.
  const beyond = 1e-9
  const prices = [[priceAt(signal, rest, outcome === 'TOOK_PROFIT' ? beyond : -beyond), closed]]
  if (reached !== undefined) {
    // The stop trails the best price, which came between the first target and the end.
    if (outcome !== 'TOOK_PROFIT' && best > first) prices.unshift([priceAt(signal, best), Math.round((reached + closed) / 2)])
    prices.unshift([priceAt(signal, first, beyond), reached])
  }
  let ends = []
  for (const [price, at] of prices) ends = await tracker.onPrice(pair, price, at)
  const [end] = ends
  if (end?.id !== id) return false
  if (end.outcome !== outcome || Math.abs(end.profitLossPercent - profitPercent) > 1e-4 * stopPercent) {
    throw new Error(`${id} ended as ${end.outcome} with ${end.profitLossPercent} %, not as ${outcome} with ${profitPercent} %`)
  }
  return true
}

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
      for (const signal of over) {
        if (!(await tellEnd(tracker, signal))) throw new Error(`${signal.id} was not closed`)
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
