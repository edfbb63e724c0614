'use strict'

// Makes signals; what it imports from signalloop meets the same store as the main thread's. (JavaScript, since a worker of
// Node 20 does not take over tsx from the thread that starts it; a compiled backend has this file anyway.)
const { workerData } = require('node:worker_threads')
const { feedbackTracker } = require('signalloop')

const { number, count } = workerData
const timestamp = Date.now()

Promise.all(
  Array.from({ length: count }, (_, i) =>
    feedbackTracker.recordSignal({
      id: `${number}-${i}`, pair: 'BTC/USDT', signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 98, takeProfit: 104, timestamp,
    }),
  ),
)
