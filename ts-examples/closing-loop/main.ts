/**
 * The closing loop of a backend: every price goes to `onPrice`, which closes the signals it hits and stores their outcomes.
 *
 *     npx tsx closing-loop/main.ts
 *
 * The prices are simulated here; in a backend they come from its price stream.
 */
import { SignalLoop, type SignalInput } from 'signalloop'

// A separate home, because the backend's models must not learn from simulated outcomes.
const loop = new SignalLoop({ home: process.env.SIGNALLOOP_HOME ?? 'ml/example' })
const { feedbackTracker } = loop

/** One price per minute, oscillating around 100. */
function* priceStream(): Generator<{ pair: string; price: number; time: number }> {
  const start = Date.now() - 3 * 3_600_000
  for (let minute = 1; minute <= 180; minute++) {
    const price = 100 + 6 * Math.sin(minute / 25) + Math.sin(minute * 1.7)
    yield { pair: 'BTC/USDT', price: Number(price.toFixed(2)), time: start + minute * 60_000 }
  }
}

function signalAt(price: number, time: number): SignalInput {
  const up = price < 100
  return {
    id: `example-${time}`,
    pair: 'BTC/USDT',
    signalType: up ? 'BUY' : 'SELL',
    confidence: 70,
    entryPrice: price,
    stopLoss: price * (up ? 0.98 : 1.02),
    takeProfit: price * (up ? 1.04 : 0.96),
    timestamp: time,
    expiresAt: time + 2 * 3_600_000,
    indicators: { distance: price - 100 },
  }
}

async function main(): Promise<void> {
  let count = 0
  for (const { pair, price, time } of priceStream()) {
    for (const closed of await feedbackTracker.onPrice(pair, price, time)) {
      const profit = closed.profitLossPercent.toFixed(2)
      console.log(`${closed.signalType} of ${closed.entryPrice}: ${closed.outcome} at ${closed.exitPrice}, ${profit} %`)
    }
    // A new signal every half hour, given at the price just seen.
    if (count++ % 30 === 0) await feedbackTracker.recordSignal(signalAt(price, time))
  }

  const { overall } = await feedbackTracker.getStats()
  console.log(`${overall.closedSignals} of ${overall.totalSignals} signals closed, ${overall.successRate.toFixed(0)} % succeeded`)
  console.log(`mean profit after costs: ${overall.expectancy.toFixed(2)} %`)
  await loop.close()
}

void main()
