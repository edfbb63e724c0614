// Records many signals at once. Prints the longest time the event loop was blocked, and the total time, in milliseconds.
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
