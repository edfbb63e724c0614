'use strict'

// The package's exports: the default loop, and thin wrappers around native code.
//
// `process.env` is read here and not in native code: Jest gives each test file, and worker_threads each
// worker, its own `process.env`, which native code cannot see.

const { inspect, types } = require('node:util')

const closeDecision = require('./close-decision.js')
const dashboardOf = require('./dashboard.js')
const native = require('./loading.js').load()
const { reasonOf } = require('./reason.js')
const { onnxModel, ownModel } = require('./own-model.js')
const { asked } = require('./strategy.js')

const defaultLoop = () =>
  Object.setPrototypeOf(
    native.sharedLoop(process.env.SIGNALLOOP_HOME || 'ml', process.env.SIGNALLOOP_EXCHANGE_URL || undefined, process.env.SIGNALLOOP_STORE || undefined),
    SignalLoop.prototype,
  )

/** Whether the error is JavaScript's stack overflow, which no argument caused. */
const isEndOfStack = (error) =>
  types.isNativeError(error) && Object.getOwnPropertyDescriptor(error, 'message')?.value === 'Maximum call stack size exceeded'

/** Returns the promise of `work`; if `work` throws, a promise that rejects. A stack overflow is thrown, since creating a promise would overflow again. */
const promised = (work) => {
  try {
    return work()
  } catch (error) {
    if (isEndOfStack(error)) throw error
    return Promise.reject(error)
  }
}

const ofDefaultLoop = (name) => (...args) => promised(() => defaultLoop()[name](...args))

/** Completes options with the home, exchange and store of the caller's `process.env`, and wraps the callbacks so that they never throw. */
const completed = (options) => {
  if (typeof (options ?? {}) !== 'object' || Array.isArray(options)) return options
  const { home = process.env.SIGNALLOOP_HOME || 'ml', exchangeUrl, store, fetchCandles, fetchPrices, model, ...others } = options ?? {}
  return {
    ...others,
    home,
    exchangeUrl: exchangeUrl ?? (process.env.SIGNALLOOP_EXCHANGE_URL || undefined),
    store: store ?? (process.env.SIGNALLOOP_STORE || undefined),
    fetchCandles: typeof fetchCandles === 'function' ? answering(fetchCandles) : fetchCandles,
    fetchPrices: typeof fetchPrices === 'function' ? answering(async (symbols) => plain(await fetchPrices(symbols))) : fetchPrices,
    model: ownModel(model),
  }
}

/** A callback as native code calls it: it passes what was found, or the reason why nothing was, to `answer`. */
const answering = (callback) => async (request, answer) => {
  let found
  try {
    found = await callback(request)
  } catch (error) {
    return answer(undefined, reasonOf(error))
  }
  answer(found, undefined)
}

/** A `Map` as an object, since native code reads objects; anything else as it is. */
const plain = (found) => (types.isMap(found) ? Object.fromEntries(found) : found)

/** `complete(options)`. Options with getters or proxies that throw are an invalid argument. */
const read = (complete, options) => {
  try {
    return complete(options)
  } catch (error) {
    if (isEndOfStack(error) || error?.code === 'ERR_INVALID_ARGUMENT') throw error
    throw Object.assign(new TypeError(`argument \`options\` could not be read: ${reasonOf(error)}`), { code: 'ERR_INVALID_ARGUMENT' })
  }
}

/**
 * Wraps a listener so that its exceptions, and its rejections if it is async, become process warnings instead of ending the backend. Returns
 * anything that is not a function unchanged.
 */
const harmless = (name, listener) => {
  if (typeof listener !== 'function') return listener
  // The error is passed as text, because Node throws at an error of another realm, such as that of a Jest test.
  const warn = (error) => {
    if (!types.isNativeError(error)) return process.emitWarning(`${name} threw ${inspect(error)}`)
    process.emitWarning(`${error.message}`, { type: `${error.name}`, detail: `${error.stack}` })
  }
  return (news) => {
    try {
      const result = listener(news)
      if (typeof result?.then === 'function') Promise.resolve(result).catch(warn)
    } catch (error) {
      warn(error)
    }
  }
}

const warned = new Set()

/** Emits a process warning once per message. */
const warnOnce = (message, code) => {
  if (warned.has(message)) return
  warned.add(message)
  process.emitWarning(message, { type: 'SignalloopWarning', code })
}

/** The largest number of candles that is packed; native code refuses more. */
const MOST_PACKED = 100_000

/**
 * Packs candles into a Float64Array (time, open, high, low, close, volume of each) if all values are numbers. The times are NaN if no candle
 * has one. That takes a tenth of the time of reading the objects from native code. Otherwise returns `undefined`; native code then reads the
 * candles and reports what is wrong with them.
 */
const packed = (candles) => {
  try {
    if (!Array.isArray(candles) || candles.length === 0 || candles.length > MOST_PACKED) return undefined
    const { length } = candles
    const rows = new Float64Array(6 * length)
    const timeless = timeOf(candles[0]) == null
    for (let i = 0; i < length; i++) {
      const candle = candles[i]
      const time = timeOf(candle)
      if (!isPlain(candle, time)) return undefined
      const [open, high, low, close, volume] = Array.isArray(candle)
        ? [candle[1], candle[2], candle[3], candle[4], candle[5]]
        : [candle.open, candle.high, candle.low, candle.close, candle.volume]
      const prices = Number.isFinite(open) && Number.isFinite(high) && Number.isFinite(low) && Number.isFinite(close)
      if (!prices || !Number.isFinite(volume) || (timeless ? time != null : !Number.isFinite(time))) return undefined
      rows[6 * i] = timeless ? NaN : time
      rows[6 * i + 1] = open
      rows[6 * i + 2] = high
      rows[6 * i + 3] = low
      rows[6 * i + 4] = close
      rows[6 * i + 5] = volume
    }
    return rows
  } catch {
    // A candle is null, a getter threw, or a proxy was revoked: native code reads the candles again and reports it.
    return undefined
  }
}

/** The time of a candle under its most common names; native code knows more names. */
const timeOf = (candle) => {
  if (Array.isArray(candle)) return candle[0]
  const { time, timestamp, openTime, open_time } = candle
  return time ?? timestamp ?? openTime ?? open_time
}

const PRICES = new Set(['open', 'high', 'low', 'close', 'volume'])

/** Whether the columns of a candle are unambiguous. A candle without a time may have no other member, because that could be meant as its time. */
const isPlain = (candle, time) => {
  if (Array.isArray(candle)) return candle.length === 6
  let others = 0
  for (const name of Object.keys(candle)) if (!PRICES.has(name)) others++
  return others <= (time == null ? 0 : 1)
}

const predictUnpacked = native.Predictor.prototype.predict
native.Predictor.prototype.predict = function predict(candles) {
  const rows = packed(candles)
  return rows ? this.predictPacked(rows) : predictUnpacked.call(this, candles)
}

/** Wraps the listener under `name` in the options with {@link harmless}. */
const listening = (name) => (options) =>
  typeof options?.[name] === 'function' ? { ...options, [name]: harmless(name, options[name]) } : options

/** Wraps the strategy in the options of a replay, for native code to call. */
const asking = (options) => (typeof options?.strategy === 'function' ? { ...options, strategy: asked(options.strategy) } : options)

class SignalLoop extends native.SignalLoop {
  constructor(options) {
    super(read((given) => listening('onEvent')(completed(given)), options))
  }

  train(options) {
    return promised(() => super.train(read(listening('onProgress'), options)))
  }

  replay(options) {
    return promised(() => super.replay(read((given) => asking(listening('onProgress')(given)), options)))
  }

  predict(options) {
    return promised(() => {
      const rows = packed(read((given) => given?.candles, options))
      if (!rows) return super.predict(options)
      return super.predictPacked(Object.create(options, { candles: { value: undefined, enumerable: true } }), rows)
    })
  }

  dashboard(options) {
    return dashboardOf(native.allowedHosts(options), (request) => promised(() => super.dashboard(request)))
  }

  onEvent(listener) {
    let wanted = true
    const hear = harmless('onEvent', listener)
    // Events may already be queued when the listener is removed.
    const unsubscribe = super.onEvent(typeof hear === 'function' ? (event) => wanted && hear(event) : hear)
    return () => {
      wanted = false
      unsubscribe()
    }
  }
}

/** `new FeedbackTracker()`: the tracker of the default loop. Its methods do not use `this`, so they can be destructured. */
class FeedbackTracker {}

for (const name of Object.getOwnPropertyNames(native.FeedbackTracker.prototype)) {
  if (name === 'constructor') continue
  const value = (...args) => promised(() => defaultLoop().feedbackTracker[name](...args))
  Object.defineProperty(FeedbackTracker.prototype, name, { value, writable: true, configurable: true })
}
// Needs no loop: calls the rule directly.
const shouldCloseSignal = closeDecision(native)
for (const tracker of [FeedbackTracker, native.FeedbackTracker]) tracker.prototype.shouldCloseSignal = shouldCloseSignal

/** `new MLPredictor(symbol, timeframe)`: a predictor of the default loop. Its methods can be destructured. */
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
    try {
      return this.#find().isModelAvailable()
    } catch (error) {
      // The loop could not be opened, so there is no event to report it.
      warnOnce(`no model can be used: ${error.message}`, error.code)
      return false
    }
  }
}

module.exports.SignalLoop = SignalLoop
module.exports.FeedbackTracker = FeedbackTracker
module.exports.Predictor = native.Predictor
module.exports.Scheduler = native.Scheduler
module.exports.MLPredictor = MLPredictor
module.exports.feedbackTracker = new FeedbackTracker()
module.exports.mlPredictor = new MLPredictor()
module.exports.train = ofDefaultLoop('train')
module.exports.replay = ofDefaultLoop('replay')
module.exports.predict = ofDefaultLoop('predict')
module.exports.generateSignal = ofDefaultLoop('generateSignal')
module.exports.fetchData = ofDefaultLoop('fetchData')
module.exports.models = ofDefaultLoop('models')
module.exports.evaluate = ofDefaultLoop('evaluate')
module.exports.report = ofDefaultLoop('report')
// Each request uses the current default loop, which may have been closed and opened again since the last one.
module.exports.dashboard = (options) =>
  dashboardOf(native.allowedHosts(options), (request) => promised(() => native.SignalLoop.prototype.dashboard.call(defaultLoop(), request)))
module.exports.onEvent = (listener) => defaultLoop().onEvent(listener)
module.exports.startScheduler = (options) => defaultLoop().startScheduler(options)
module.exports.onnxModel = onnxModel
module.exports.fromText = native.fromText
module.exports.fromTradingView = native.fromTradingView
module.exports.rollback = ofDefaultLoop('rollback')
module.exports.metrics = ofDefaultLoop('metrics')
module.exports.configure = (options) => defaultLoop().configure(options)
module.exports.close = ofDefaultLoop('close')
