// Records, trains one model, and ends.
const { configure, feedbackTracker, train } = require('../..')

const signal = { id: 'a', pair: 'BTCUSDT', signalType: 'BUY', confidence: 70, entryPrice: 100, timestamp: Date.now() }

async function main() {
  configure({ trees: 10 })
  const recorded = await feedbackTracker.recordSignal(signal)
  const { successful } = await train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false, onProgress() {} })
  console.log(JSON.stringify({ recorded, successful }))
}

main()
