// A backend with four cluster workers on one home. Each records 250 signals at once while prices close what is there
// already; when all are recorded, one more price closes the rest. Prints which signals each worker was told it closed.
const cluster = require('node:cluster')
const { once } = require('node:events')
const { feedbackTracker } = require('../..')

const WORKERS = 4
const EACH = 250
const HIT = 111

async function primary() {
  const workers = Array.from({ length: WORKERS }, (_, number) => cluster.fork({ NUMBER: String(number) }))
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  const reports = Promise.all(workers.map((worker) => once(worker, 'message')))
  const ends = Promise.all(workers.map((worker) => once(worker, 'exit')))
  for (const worker of workers) worker.send('all are recorded')
  console.log(JSON.stringify({ closed: (await reports).map(([ids]) => ids), codes: (await ends).map(([code]) => code) }))
}

async function worker() {
  const closed = []
  const hit = async () => closed.push(...(await feedbackTracker.onPrice('BTCUSDT', HIT)).map((one) => one.id))
  const timestamp = Date.now() - 60_000
  const work = Array.from({ length: EACH }, async (_, n) => {
    const id = `${process.env.NUMBER}-${n}`
    await feedbackTracker.recordSignal({
      id, timestamp, pair: 'BTCUSDT', signalType: 'BUY', confidence: 70, entryPrice: 100, stopLoss: 95, takeProfit: 110,
    })
    if (n % 25 === 0) await hit()
  })
  await Promise.all(work)
  const told = once(process, 'message')
  process.send('recorded')
  await told
  await hit()
  process.send(closed, () => process.disconnect())
}

cluster.isPrimary ? primary() : worker()
