'use strict'

// Makes signals; signalloop uses the same store here as in the main thread. (This file is JavaScript, because a worker of
// Node 20 does not inherit tsx from the thread that starts it; a compiled backend has such a file anyway.)
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
