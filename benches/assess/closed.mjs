// Signals of many indicators, of which one decides: for measuring what outcomes cost.
import { SYMBOLS } from '../store/signals.mjs'

export const HOUR = 3_600_000
/** Long ago enough for a hundred thousand of them, one an hour. */
const FIRST = Date.UTC(2010, 0, 1)
export const INDICATORS = 64
const NAMES = ['rsi', ...Array.from({ length: INDICATORS - 1 }, (_, i) => `x${i}`)]
const STRATEGIES = ['breakout', 'reversal', 'trend', 'squeeze']

export const givenAt = (n) => FIRST + n * HOUR

/** One after the other: of signals of one time there would be less to learn. */
export function signal(n) {
  const buy = n % 2 === 0
  const indicators = Object.fromEntries(NAMES.map((name, at) => [name, (n * 7919 * (at + 3)) % 101]))
  return {
    id: `s${n}`, pair: SYMBOLS[n % SYMBOLS.length], strategy: STRATEGIES[n % STRATEGIES.length], signalType: buy ? 'BUY' : 'SELL', confidence: 60,
    timestamp: givenAt(n), indicators, entryPrice: 100, stopLoss: buy ? 98 : 102, takeProfit: buy ? 104 : 96,
  }
}

/** At which price a signal ends. */
export const endOf = ({ indicators, stopLoss, takeProfit }) => (indicators.rsi > 60 ? stopLoss : takeProfit)

/** A signal with its end. */
export function closed(n) {
  const given = signal(n)
  const exitPrice = endOf(given)
  return { ...given, outcome: exitPrice === given.takeProfit ? 'TOOK_PROFIT' : 'STOPPED_OUT', exitPrice, closedAt: givenAt(n) + HOUR }
}

/** Its rsi is 9: once the outcomes are learned, it is known to succeed. */
const asked = (after) => ({ ...signal(5), id: undefined, timestamp: givenAt(after) + HOUR })

/** What is learned from is chosen: a process that starts need not have all of many. */
const ENOUGH = 9_000

/** Milliseconds until a question is answered from what has closed, `count` signals. */
export async function untilKnown(tracker, count, patience = 60_000) {
  const begin = performance.now()
  for (;;) {
    const { closed, successProbability, baseRate } = await tracker.assess(asked(count))
    const passed = performance.now() - begin
    if (closed >= Math.min(count, ENOUGH) && successProbability > baseRate + 0.15) return passed
    if (passed > patience) throw new Error(`no model was grown in time: ${closed} of ${count} outcomes, ${successProbability} beside ${baseRate}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
