// Feeds prices of ever new pairs without signals. Prints how many bytes each of them leaves in memory. Run with --expose-gc.
const { SignalLoop } = require('../..')

const { feedbackTracker } = new SignalLoop()
const EACH = 100_000
let next = 0

async function round() {
  const pairs = Array.from({ length: EACH }, () => `X${(next++).toString(36)}USDT`)
  await feedbackTracker.onPrices(pairs, new Float64Array(EACH).fill(100))
  await feedbackTracker.onCandle(pairs[0], [1.75e12, 1, 1, 1, 1, 1])
}

async function main() {
  await feedbackTracker.recordSignal({ id: 'a', pair: 'BTCUSDT', signalType: 'BUY', confidence: 70, entryPrice: 100, timestamp: 1.75e12 })
  // What the first rounds need is used again by the others.
  for (let i = 0; i < 3; i++) await round()
  global.gc()
  const before = process.memoryUsage().rss
  const rounds = 6
  for (let i = 0; i < rounds; i++) await round()
  global.gc()
  console.log((process.memoryUsage().rss - before) / (rounds * EACH))
}
main()
