// Records signals one by one, and prints the id of each acknowledged one.
const { writeSync } = require('node:fs')
const { feedbackTracker } = require('../..')

async function main() {
  for (let i = 0; ; i++) {
    const id = `s${i}`
    await feedbackTracker.recordSignal({ id, pair: 'BTCUSDT', signalType: 'BUY', confidence: 70, entryPrice: 100, timestamp: Date.now() })
    writeSync(1, `${id}\n`)
  }
}

main()
