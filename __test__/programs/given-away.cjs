// A getter among the pairs transfers or shrinks the memory of the prices while they are read. Prints which signals they close.
const { SignalLoop } = require('../..')

const loop = new SignalLoop()
const { feedbackTracker } = loop
const signal = { signalType: 'BUY', confidence: 70, entryPrice: 100, stopLoss: 95, takeProfit: 110, timestamp: 1.75e12 }
const MANY = 100_000

/** Pairs of which the first, when it is read, does `work`. */
const pairsThat = (work, length = 2) => {
  const pairs = Array.from({ length }, () => 'BTCUSDT')
  const get = () => {
    work()
    return 'ETHUSDT'
  }
  return Object.defineProperty(pairs, 0, { get })
}

async function main() {
  await feedbackTracker.recordSignals(['BTCUSDT', 'ETHUSDT'].map((pair) => ({ ...signal, id: pair, pair })))
  const show = async (name, closing) => console.log(name, JSON.stringify(await closing.catch((error) => error.code)))

  // All these prices close nothing; what is written into the memory afterwards would.
  const given = Float64Array.of(100, 100)
  await show('transferred', feedbackTracker.onPrices(pairsThat(() => structuredClone(given, { transfer: [given.buffer] }).fill(1)), given))

  const times = Float64Array.of(1.751e12, 1.751e12)
  const late = pairsThat(() => structuredClone(times, { transfer: [times.buffer] }).fill(NaN))
  await show('times transferred', feedbackTracker.onPrices(late, Float64Array.of(100, 100), times))

  const large = new Float64Array(new ArrayBuffer(8 * MANY, { maxByteLength: 8 * MANY })).fill(100)
  await show('resized', feedbackTracker.onPrices(pairsThat(() => large.buffer.resize(8), MANY), large))

  const shared = new Float64Array(new SharedArrayBuffer(16)).fill(100)
  await show('shared', feedbackTracker.onPrices(pairsThat(() => shared.fill(1)), shared))

  const gone = Float64Array.of(100)
  structuredClone(gone, { transfer: [gone.buffer] })
  await show('detached', feedbackTracker.onPrices(['BTCUSDT'], gone))
  await show('closed in a getter', feedbackTracker.onPrices(pairsThat(() => loop.close()), Float64Array.of(100, 100)))
}
main()
