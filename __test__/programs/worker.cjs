// A worker thread that records one signal, and starts a training when told to.
const { parentPort, workerData } = require('node:worker_threads')
const { SignalLoop } = require('../..')

const loop = new SignalLoop({ home: workerData.home, exchangeUrl: 'http://127.0.0.1:9' })
const signal = { id: workerData.id, pair: 'BTCUSDT', signalType: 'BUY', confidence: 70, entryPrice: 100, timestamp: Date.now() }

loop.feedbackTracker.recordSignal(signal).then((recorded) => {
  if (workerData.train) {
    loop.configure({ trees: 1000 })
    const controller = new AbortController()
    loop.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false, signal: controller.signal, onProgress() {} })
  }
  parentPort.postMessage(recorded)
})
