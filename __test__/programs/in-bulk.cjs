// Many signals at once. Prints how long the event loop was held up at most, of how long it took in all, in milliseconds.
const { SignalLoop } = require('../..')

const { feedbackTracker } = new SignalLoop()
const count = Number(process.argv[2])
const signals = Array.from({ length: count }, (_, i) => ({
  id: `s-${i}`, pair: 'BTCUSDT', signalType: 'BUY', confidence: 70, entryPrice: 100, stopLoss: 95, takeProfit: 110, timestamp: 1.75e12,
  indicators: { rsi: 30 + (i % 40), macd: i / 1000, ema: 100.5 },
}))

async function main() {
  let [last, longest, over] = [performance.now(), 0, false]
  const look = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (!over) setImmediate(look)
  }
  setImmediate(look)
  await new Promise(setImmediate)
  const began = performance.now()
  const recording = feedbackTracker.recordSignals(signals)
  // The array is the caller's again.
  signals.length = 0
  const recorded = await recording
  over = true
  console.log(JSON.stringify({ recorded, longest, total: performance.now() - began }))
}
main()
