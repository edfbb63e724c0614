// Records without waiting, on the default loop. As a worker thread it continues until it is terminated; as a process it
// records a given number and ends.
const { isMainThread, parentPort, workerData } = require('node:worker_threads')
const { feedbackTracker } = require('../..')

let count = 0
const record = () => {
  const id = `${isMainThread ? 'process' : workerData.name}-${count++}`
  const signal = { id, pair: 'BTCUSDT', signalType: 'BUY', confidence: 70, entryPrice: 100, timestamp: 1_750_000_000_000 }
  return feedbackTracker.recordSignal(signal)
}

if (isMainThread) {
  for (let left = Number(process.argv[2]); left > 0; left--) record().then((recorded) => console.log(recorded))
} else {
  const flood = () => {
    for (let i = 0; i < 200; i++) record()
    setImmediate(flood)
  }
  record().then(() => parentPort.postMessage('flooding'))
  flood()
}
