// What does it cost to ask about a signal, and to learn what became of one, when 10 000 have closed?
//
//     node benches/assess.mjs [--quick]
import { SignalLoop } from '../index.js'
import { median } from './shared/measure.mjs'
import { alone } from './shared/run.mjs'
import { SYMBOLS } from './store/signals.mjs'

const CLOSED = 10_000
const NAMES = ['rsi', 'macd', 'volumeRatio', 'adx', 'atr', 'obv', 'cci', 'mfi', 'stochastic', 'williams', 'momentum', 'width']
/** How long a model may take to be grown from all outcomes, on a thread of its own, before what it serves is measured. */
const PATIENCE_MS = 120_000

/** One after the other: signals of one time would not be worth so many. */
const HOUR = 3_600_000
const FIRST = Date.UTC(2020, 0, 1)
const givenAt = (n) => FIRST + n * HOUR

const signal = (n) => {
  const buy = n % 2 === 0
  const indicators = Object.fromEntries(NAMES.map((name, at) => [name, (n * 7919 * (at + 3)) % 101]))
  return {
    id: `s${n}`, pair: SYMBOLS[n % SYMBOLS.length], signalType: buy ? 'BUY' : 'SELL', confidence: 60, timestamp: givenAt(n), indicators,
    entryPrice: 100, stopLoss: buy ? 98 : 102, takeProfit: buy ? 104 : 96,
  }
}

/** Microseconds of each call. */
async function each(count, act) {
  const figures = []
  for (let n = 0; n < count; n++) {
    const begin = performance.now()
    await act(n)
    figures.push((performance.now() - begin) * 1e3)
  }
  return figures
}

async function measure({ folder, quick, rounds }) {
  const loop = new SignalLoop({ home: folder })
  loop.configure({ durability: 'os' })
  const tracker = loop.feedbackTracker
  const close = (n) => {
    const { pair, stopLoss, takeProfit, indicators } = signal(n)
    return tracker.onPrice(pair, indicators.rsi > 60 ? stopLoss : takeProfit, givenAt(n) + HOUR)
  }
  const calls = quick ? 300 : 3_000
  const outcomes = quick ? 30 : 100
  try {
    await tracker.recordSignals(Array.from({ length: CLOSED + rounds * outcomes }, (_, n) => signal(n)))
    await Promise.all(Array.from({ length: CLOSED }, (_, n) => close(n)))
    // Its rsi is 9: once all outcomes are learned, it is known to succeed.
    const asked = signal(5)
    const knows = ({ closed, successProbability, baseRate }) => closed === CLOSED && successProbability > baseRate + 0.2
    for (const begin = performance.now(); !knows(await tracker.assess(asked)); ) {
      if (performance.now() - begin > PATIENCE_MS) throw new Error('no model was grown in time')
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
    const [assessing, learning] = [[], []]
    for (let round = 0; round < rounds; round++) {
      assessing.push(median(await each(calls, (n) => tracker.assess(signal(n)))))
      const first = CLOSED + round * outcomes
      const learned = await each(outcomes, async (n) => {
        await close(first + n)
        await tracker.assess(asked)
      })
      learning.push(median(learned))
    }
    return [
      { what: `\`assess\` at ${CLOSED} closed signals of ${NAMES.length} indicators, median of a round`, unit: 'µs', lower: true, ours: assessing, target: 50 },
      { what: 'an outcome and the `assess` after it, `os`', unit: 'µs', lower: true, ours: learning, target: 1_000 },
    ]
  } finally {
    await loop.close()
  }
}

export const assess = { name: 'assess', measure }
await alone(assess, import.meta.url)
