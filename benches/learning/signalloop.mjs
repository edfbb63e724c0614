// signalloop itself, as a backend uses it: signals are recorded, prices close them, `assess` says what to think of the next.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignalLoop } from '../../index.js'

const HOUR = 3_600_000
const FIRST_DAY = Date.UTC(2025, 0, 6)
const ENTRY = 100
/** Stop and target, in price units: at equal distance, so that more than half must succeed. */
const DISTANCE = 2

function recorded({ day, symbol, timeframe, direction, indicators }, id, timestamp) {
  return {
    id,
    pair: symbol,
    timeframe,
    signalType: direction > 0 ? 'BUY' : 'SELL',
    confidence: 60,
    entryPrice: ENTRY,
    stopLoss: ENTRY - direction * DISTANCE,
    takeProfit: ENTRY + direction * DISTANCE,
    timestamp,
    indicators,
  }
}

export function signalloop() {
  const home = mkdtempSync(join(tmpdir(), 'signalloop-bench-'))
  const loop = new SignalLoop({ home })
  loop.configure({ durability: 'os' })
  const tracker = loop.feedbackTracker
  let now = FIRST_DAY

  return {
    /** One after the other, each closed an hour after it was given. */
    async learn(signals) {
      for (const signal of signals) {
        const input = recorded(signal, `signal-${now}`, now)
        await tracker.recordSignal(input)
        now += HOUR
        const closed = await tracker.onPrice(input.pair, signal.success ? input.takeProfit : input.stopLoss, now)
        if (closed.length !== 1) throw new Error(`${input.id}: ${closed.length} signals closed`)
        now += HOUR
      }
      now += 4 * HOUR
    },
    async probabilities(signals) {
      const assessments = await Promise.all(signals.map((signal, i) => tracker.assess(recorded(signal, `asked-${i}`, now))))
      return assessments.map(({ successProbability }) => successProbability)
    },
    patterns: () => tracker.patterns(),
    async close() {
      await loop.close()
      rmSync(home, { recursive: true, force: true })
    },
  }
}
