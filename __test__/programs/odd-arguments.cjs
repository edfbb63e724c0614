// Calls every function with every odd argument. Prints the calls that did not end with one of signalloop's errors; exits with 0 if the process survives.
const { runInNewContext } = require('node:vm')
const signalloop = require('../..')

const cyclic = { id: 'a' }
cyclic.self = cyclic
let deep = {}
for (let i = 0; i < 10_000; i++) deep = { deep }
const revoked = Proxy.revocable({}, {})
revoked.revoke()
const refusing = new Proxy({}, {
  get() {
    throw new Error('get trap')
  },
  ownKeys() {
    throw new Error('ownKeys trap')
  },
})
const itsOwnCause = new Error('cyclic')
itsOwnCause.cause = itsOwnCause
const throwing = (thrown) => Object.defineProperties({}, Object.fromEntries(['id', 'symbol', 'mode', 'pair'].map((name) => [name, { get() { throw thrown }, enumerable: true }])))
const textless = { toString() { throw textless } }
const detached = Float64Array.of(1)
structuredClone(detached, { transfer: [detached.buffer] })

const ODD = {
  undefined: undefined,
  null: null,
  NaN: NaN,
  infinity: -Infinity,
  text: 'x'.repeat(1000),
  traversal: '../../x',
  lone: '\ud800',
  symbol: Symbol('odd'),
  function: function odd() {},
  class: class Odd {},
  bigint: 10n ** 30n,
  boolean: true,
  array: [[]],
  cyclic,
  deep,
  proxy: refusing,
  arrayProxy: new Proxy([], {}),
  revoked: revoked.proxy,
  getter: {
    get id() {
      throw new TypeError('getter')
    },
    get symbol() {
      throw undefined
    },
    get mode() {
      throw Symbol('getter')
    },
  },
  noPrototype: Object.create(null, { id: { get: () => BigInt(1), enumerable: true } }),
  typed: new Float64Array(6),
  buffer: Buffer.alloc(8),
  map: new Map([['id', 1]]),
  date: new Date(NaN),
  hostileDate: Object.defineProperty(new Date(), Symbol.toPrimitive, { value() { throw new Error('toPrimitive') } }),
  promise: Promise.resolve(1),
  boxed: Object(5),
  error: new Error('odd'),
  regexp: /x/g,
  itsOwnCause: throwing(itsOwnCause),
  textless: throwing(textless),
  closing: { get id() { return signalloop.close() }, get symbol() { return signalloop.close() } },
  toJson: { toJSON() { throw new Error('toJSON') }, id: 'a' },
  toJsonOfNothing: { toJSON() {}, id: 'a' },
  symbolic: { [Symbol('id')]: 1, [Symbol.toPrimitive]() { throw new Error('toPrimitive') } },
  frozen: Object.freeze([Object.freeze({})]),
  sparse: Object.assign([], { length: 4_294_967_295 }),
  long: 'x'.repeat(2 ** 22),
  detached,
  resizable: new Float64Array(new ArrayBuffer(8, { maxByteLength: 64 })),
  shared: new Float64Array(new SharedArrayBuffer(8)),
  abroad: runInNewContext('({ date: new Date(), list: [new Error("abroad")], text: new String("x") })'),
  dateAbroad: runInNewContext('new Date(NaN)'),
  abortion: { aborted: false, addEventListener(_, abort) { abort() }, removeEventListener() {} },
  notQuiteAbortion: { get aborted() { throw new Error('aborted') } },
}

const loop = new signalloop.SignalLoop({ fetchCandles: async () => [], threads: 1 })
const methods = (object, names) => names.map((name) => [name, (...args) => object[name](...args)])
const TRACKER = ['shouldCloseSignal', 'recordSignal', 'recordSignals', 'updateOutcome', 'amendSignal', 'cancelSignal', 'getSignal', 'onPrice', 'onPrices', 'onCandle', 'getStats', 'assess', 'patterns', 'scorecard', 'advise', 'importSignals']
const LOOP = ['train', 'predict', 'generateSignal', 'fetchData', 'rollback', 'evaluate', 'configure', 'predictor']

const targets = [
  ...methods(signalloop.feedbackTracker, TRACKER),
  ...methods(loop.feedbackTracker, TRACKER),
  ...methods(signalloop, ['train', 'predict', 'generateSignal', 'fetchData', 'rollback', 'configure']),
  ...methods(loop, LOOP),
  ...methods(signalloop.mlPredictor, ['predict']),
  ...methods(loop.predictor(), ['predict']),
  ['new SignalLoop', (...args) => new signalloop.SignalLoop(...args).home],
  ['new MLPredictor', (...args) => typeof new signalloop.MLPredictor(...args)],
]

// Members that some function reads; each is set to odd values in turn.
const inside = (odd) => [
  [{ id: 'a', pair: 'BTCUSDT', signalType: 'BUY', confidence: 5, entryPrice: 5, timestamp: odd }],
  [{ id: 'a', pair: odd, signalType: 'BUY', confidence: odd, entryPrice: odd, timestamp: 1.7e12 }],
  [{ id: 'odd', pair: 'BTCUSDT', signalType: 'HOLD', confidence: 5, timestamp: Date.now(), indicators: { odd } }],
  [{ symbol: 'BTCUSDT', candles: odd }],
  [{ symbol: 'BTCUSDT', candles: [odd, odd] }],
  [{ mode: 'symbol', symbols: [], signal: odd, onProgress: odd }],
  [{ symbols: [odd], timeframes: odd }],
  [{ home: odd }],
  [{ fetchCandles: odd, threads: odd }],
  [{ signalId: odd, outcome: odd }],
  [{ signalId: 'a', share: odd, exitPrice: odd }],
  [{ signalId: 'a', stopLoss: odd, takeProfits: odd, expiresAt: odd, reason: odd }],
  [{ signalId: 'a', at: odd, replacedBy: odd }],
  [{ id: 'a', pair: 'BTCUSDT', signalType: 'BUY', confidence: 5, entryPrice: 5, timestamp: 1.7e12, takeProfits: [{ price: odd }], stopRules: { trail: odd } }],
  [{ id: 'a', pair: 'BTCUSDT', signalType: 'BUY', confidence: 5, entryZone: { low: odd, high: 5 }, timestamp: 1.7e12, tags: [odd], takeProfits: [odd] }],
  ['BTCUSDT', odd, odd],
  [[odd]],
]

const report = (name, kind, text) => console.log(`${name}(${kind}): ${text}`)

// An asynchronous call must reject with one of signalloop's codes, not throw; a result is fine.
async function call(name, work, kind, args) {
  const sync = /^new |shouldCloseSignal|configure|predictor/.test(name)
  let promise
  try {
    promise = work(...args)
  } catch (error) {
    if (!sync) report(name, kind, 'threw where it promises')
    if (!String(error?.code).startsWith('ERR_')) report(name, kind, `threw without a code: ${String(error)}`)
    return
  }
  try {
    await promise
  } catch (error) {
    if (!String(error?.code).startsWith('ERR_') || typeof error.message !== 'string') {
      report(name, kind, `rejected without a code: ${String(error)}`)
    }
  }
}

async function main() {
  // Nothing odd may turn into a training of everything over the network.
  for (const one of [signalloop, loop]) one.configure({ symbols: ['BTCUSDT'], timeframes: ['1h'], historyDays: 1 })
  for (const [name, work] of targets) {
    for (const [kind, odd] of Object.entries(ODD)) {
      for (const args of [[odd], [odd, odd], [odd, 5, odd], ...inside(odd)]) await call(name, work, kind, args)
    }
  }
  await signalloop.close()
  await loop.close()
  console.log('alive')
}

process.on('unhandledRejection', (error) => report('process', 'unhandled', String(error)))
process.on('uncaughtException', (error) => report('process', 'uncaught', String(error)))
main()
