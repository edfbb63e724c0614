// The default loop in this thread and in a worker: if one of them closes it, it stays open for the other. Prints what each sees.
const { once } = require('node:events')
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
const signalloop = require('../..')

const signal = (id) => ({ id, pair: 'BTCUSDT', signalType: 'BUY', confidence: 70, entryPrice: 100, takeProfit: 110, timestamp: 1.75e12 })
const { feedbackTracker } = signalloop

async function worker() {
  const scheduler = workerData.starts && signalloop.startScheduler({ enabled: false })
  await feedbackTracker.recordSignal(signal(workerData.id))
  if (workerData.closes) await signalloop.close()
  // Its own scheduler is closed with it.
  const after = workerData.closes && scheduler ? await scheduler.runOnce('evaluate').catch((error) => error.code) : 'nothing'
  parentPort.postMessage(after)
}

async function run(data) {
  const one = new Worker(__filename, { workerData: data })
  const ended = once(one, 'exit')
  const [said] = await once(one, 'message')
  await ended
  return said
}

async function main() {
  const heard = []
  signalloop.onEvent((event) => event.type === 'signalClosed' && heard.push(event.id ?? event.signal?.id))
  const scheduler = signalloop.startScheduler({ enabled: false })
  const running = () => scheduler.status().running
  await feedbackTracker.recordSignal(signal('main'))

  await run({ id: 'closes', closes: true })
  console.log('after a worker closed:', running(), (await feedbackTracker.getStats(undefined, undefined, 36_500)).overall.totalSignals)

  console.log('of the worker that closed, and had started it too:', await run({ id: 'starts', starts: true, closes: true }), running())

  await scheduler.stop()
  console.log('stopped here:', running())
  await run({ id: 'only', starts: true, closes: true })
  console.log('after the worker that alone had started it closed:', running())
  await run({ id: 'ends', starts: true, closes: false })
  for (const began = Date.now(); running() && Date.now() - began < 5000; ) await new Promise((resolve) => setTimeout(resolve, 10))
  console.log('after the worker that alone had started it ended:', running())

  await feedbackTracker.onPrice('BTCUSDT', 111)
  await new Promise((resolve) => setTimeout(resolve, 50))
  console.log('heard:', heard.length)
  await signalloop.close()
  console.log('after close():', await scheduler.runOnce('evaluate').catch((error) => error.code))
}
isMainThread ? main() : worker()
