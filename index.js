'use strict'

// The default loop, and the names under which the package shows it. Everything else is native (native.js is generated).
//
// The home comes from `process.env` here and not in native code: Jest gives each test file, and worker_threads each
// worker, a `process.env` of its own that native code cannot see.

const native = require('./native.js')

const defaultLoop = () =>
  Object.setPrototypeOf(
    native.sharedLoop(process.env.SIGNALLOOP_HOME || 'ml', process.env.SIGNALLOOP_EXCHANGE_URL || undefined),
    SignalLoop.prototype,
  )

/** What `work` gives; where it throws before there is a promise, one that rejects. */
const promised = (work) => {
  try {
    return work()
  } catch (error) {
    return Promise.reject(error)
  }
}

const ofDefaultLoop = (name) => (...args) => promised(() => defaultLoop()[name](...args))

/** Options with the home and the exchange that the caller's `process.env` names, and a callback that never throws. */
const completed = (options) => {
  if (typeof (options ?? {}) !== 'object' || Array.isArray(options)) return options
  const { home = process.env.SIGNALLOOP_HOME || 'ml', exchangeUrl, fetchCandles, ...others } = options ?? {}
  return {
    ...others,
    home,
    exchangeUrl: exchangeUrl ?? (process.env.SIGNALLOOP_EXCHANGE_URL || undefined),
    // Native code would end the process at a callback that throws, or that returns no promise.
    fetchCandles: typeof fetchCandles === 'function' ? async (request) => fetchCandles(request) : fetchCandles,
  }
}

/** `complete(options)`, where options with getters or proxies that throw are a wrong argument like any other. */
const read = (complete, options) => {
  try {
    return complete(options)
  } catch (error) {
    throw Object.assign(new TypeError(`argument \`options\` could not be read: ${String(error?.message ?? error)}`), {
      code: 'ERR_INVALID_ARGUMENT',
    })
  }
}

/** Training options with a listener whose exceptions become warnings: news must not end a backend that trains. */
const listening = (options) => {
  const listener = options?.onProgress
  if (typeof listener !== 'function') return options
  const onProgress = (news) => {
    try {
      listener(news)
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : new Error(`onProgress threw ${String(error)}`))
    }
  }
  return { ...options, onProgress }
}

class SignalLoop extends native.SignalLoop {
  constructor(options) {
    super(read(completed, options))
  }

  train(options) {
    return promised(() => super.train(read(listening, options)))
  }
}

/** `new FeedbackTracker()`: the default loop's. Its methods ask nothing of `this`, so they may be taken off it. */
class FeedbackTracker {}

for (const name of Object.getOwnPropertyNames(native.FeedbackTracker.prototype)) {
  if (name === 'constructor') continue
  const value = (...args) => promised(() => defaultLoop().feedbackTracker[name](...args))
  Object.defineProperty(FeedbackTracker.prototype, name, { value, writable: true, configurable: true })
}
// Asks nothing of any loop: straight to the rule.
FeedbackTracker.prototype.shouldCloseSignal = native.shouldCloseSignal

/** `new MLPredictor(symbol, timeframe)`: the default loop's. Its methods may be taken off it. */
class MLPredictor {
  #find

  constructor(symbol, timeframe) {
    native.checkMarket(symbol, timeframe)
    this.#find = () => defaultLoop().predictor(symbol, timeframe)
    this.predict = this.predict.bind(this)
    this.isModelAvailable = this.isModelAvailable.bind(this)
  }

  predict(candles) {
    return promised(() => this.#find().predict(candles))
  }

  isModelAvailable() {
    return this.#find().isModelAvailable()
  }
}

module.exports.SignalLoop = SignalLoop
module.exports.FeedbackTracker = FeedbackTracker
module.exports.Predictor = native.Predictor
module.exports.MLPredictor = MLPredictor
module.exports.feedbackTracker = new FeedbackTracker()
module.exports.mlPredictor = new MLPredictor()
module.exports.train = ofDefaultLoop('train')
module.exports.predict = ofDefaultLoop('predict')
module.exports.generateSignal = ofDefaultLoop('generateSignal')
module.exports.fetchData = ofDefaultLoop('fetchData')
module.exports.models = ofDefaultLoop('models')
module.exports.rollback = ofDefaultLoop('rollback')
module.exports.configure = (options) => defaultLoop().configure(options)
module.exports.close = ofDefaultLoop('close')
