// `Promise.prototype.then` throws, first once, as a faulty tracer does, then always. Promises must still settle.
const { SignalLoop } = require('../..')
const { then } = Promise.prototype

const hour = 3_600_000
const fetchCandles = async ({ since, until }) => {
  const rows = []
  for (let time = Math.ceil(since / hour) * hour; time + hour <= until && rows.length < 1000; time += hour) {
    const price = 100 + Math.sin(time / hour)
    rows.push([time, price, price + 1, price - 1, price, 5])
  }
  return rows
}
const loop = new SignalLoop({ threads: 1, fetchCandles })
const record = (id) =>
  loop.feedbackTracker.recordSignal({ id, pair: 'BTCUSDT', signalType: 'BUY', confidence: 70, entryPrice: 100, timestamp: 1.75e12 })

/** A promise waited for without `then`. */
const settled = async (promise) => await promise

async function main() {
  // Something is waiting for it, so that a promise that never settles is seen, and not just the end of the process.
  const tooLate = setTimeout(() => {
    console.log('never settled')
    process.exit(1)
  }, 20_000)
  let thrown = 0
  Promise.prototype.then = function (...given) {
    if (thrown++ === 0) throw new Error('a faulty tracer')
    return Reflect.apply(then, this, given)
  }
  const first = record('first')
  const second = record('second')
  console.log(await settled(first), await settled(second))

  Promise.prototype.then = () => {
    throw new Error('a faulty tracer')
  }
  console.log(await settled(record('third')))
  const [fetched] = await settled(loop.fetchData({ symbols: ['BTCUSDT'], timeframes: ['1h'] }))
  console.log(fetched.error ?? 'fetched')
  Promise.prototype.then = then
  await loop.close()
  clearTimeout(tooLate)
}
main()
