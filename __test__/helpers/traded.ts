import type { SignalLoop } from '../..'
import { random } from './candles'

const DAY = 86_400_000
/** A Monday. */
export const BEGAN = Date.parse('2025-06-02T00:00:00Z')

/** An indicator whose name would be a program, were it not shown as text. */
export const EVIL = '</script><script>document.title = "owned"</script>'

/**
 * Records and closes two signals a day by prices, of two symbols. Those above 50 of an indicator with an evil name succeed mostly,
 * the others seldom.
 */
export async function trade(loop: SignalLoop, days: number): Promise<void> {
  const next = random(days)
  for (let i = 0; i < 2 * days; i++) {
    const [timestamp, level] = [BEGAN + i * (DAY / 2), 100 * next()]
    const pair = i % 3 === 0 ? 'ETH/USDT' : 'BTC/USDT'
    const succeeds = next() < (level > 50 ? 0.85 : 0.25)
    await loop.feedbackTracker.recordSignal({
      id: `traded-${i}`,
      pair,
      signalType: 'BUY',
      confidence: level > 50 ? 80 : 40,
      entryPrice: 100,
      stopLoss: 98,
      takeProfit: 102,
      timestamp,
      indicators: { [EVIL]: level },
    })
    await loop.feedbackTracker.onPrice(pair, succeeds ? 102.1 : 97.9, timestamp + DAY / 4)
  }
}
