'use strict'

// The default loop, and the names under which the package shows it. Everything else is native (native.js is generated).
//
// The home comes from `process.env` here and not in native code: Jest gives each test file, and worker_threads each
// worker, a `process.env` of its own that native code cannot see.

const { inspect, types } = require('node:util')

const dashboardOf = require('./dashboard.js')
const native = require('./loading.js').load()

const defaultLoop = () =>
  Object.setPrototypeOf(
    native.sharedLoop(process.env.SIGNALLOOP_HOME || 'ml', process.env.SIGNALLOOP_EXCHANGE_URL || undefined, process.env.SIGNALLOOP_STORE || undefined),
    SignalLoop.prototype,
  )

/** Whether it is the engine's own error at the end of the stack: no argument is to blame for that. */
const isEndOfStack = (error) =>
  types.isNativeError(error) && Object.getOwnPropertyDescriptor(error, 'message')?.value === 'Maximum call stack size exceeded'

/** What `work` gives; where it throws before there is a promise, one that rejects. At the end of the stack that would throw, too. */
const promised = (work) => {
  try {
    return work()
  } catch (error) {
    if (isEndOfStack(error)) throw error
    return Promise.reject(error)
  }
}

const ofDefaultLoop = (name) => (...args) => promised(() => defaultLoop()[name](...args))

/** Options with the home and the exchange that the caller's `process.env` names, and a callback that never throws. */
const completed = (options) => {
  if (typeof (options ?? {}) !== 'object' || Array.isArray(options)) return options
  const { home = process.env.SIGNALLOOP_HOME || 'ml', exchangeUrl, store, fetchCandles, ...others } = options ?? {}
  return {
    ...others,
    home,
    exchangeUrl: exchangeUrl ?? (process.env.SIGNALLOOP_EXCHANGE_URL || undefined),
    store: store ?? (process.env.SIGNALLOOP_STORE || undefined),
    fetchCandles: typeof fetchCandles === 'function' ? answering(fetchCandles) : fetchCandles,
  }
}

/** `fetchCandles` as native code asks it: with a function that takes the candles, or nothing and why not. */
const answering = (fetchCandles) => async (request, answer) => {
  let candles
  try {
    candles = await fetchCandles(request)
  } catch (error) {
    return answer(undefined, reasonOf(error))
  }
  answer(candles, undefined)
}

/** What was thrown, as text: it may be anything, and throw again when it is looked at. */
const reasonOf = (thrown) => {
  try {
    return types.isNativeError(thrown) ? `${thrown.message}` : inspect(thrown)
  } catch {
    return 'an exception'
  }
}

/** `complete(options)`, where options with getters or proxies that throw are a wrong argument like any other. */
const read = (complete, options) => {
  try {
    return complete(options)
  } catch (error) {
    if (isEndOfStack(error)) throw error
    throw Object.assign(new TypeError(`argument \`options\` could not be read: ${reasonOf(error)}`), { code: 'ERR_INVALID_ARGUMENT' })
  }
}

/**
 * A listener whose exceptions, and rejections where it is async, become warnings: news must not end a backend. What is no
 * function stays as it is.
 */
const harmless = (name, listener) => {
  if (typeof listener !== 'function') return listener
  // As text: Node itself throws at an error of another realm, such as that of a Jest test.
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

/** A warning of the process, unless it was given before. */
const warnOnce = (message, code) => {
  if (warned.has(message)) return
  warned.add(message)
  process.emitWarning(message, { type: 'SignalloopWarning', code })
}

const isPrice = (value) => typeof value === 'number' && value > 0 && value < Infinity

/**
 * Asked on every tick: the levels of a signal cross over as numbers where it has all of them, in one spelling, and no expiry,
 * as nearly all have. That takes half as long as reading the object from native code, which does it for every other signal.
 */
const shouldCloseSignal = (signal, currentPrice) => {
  if (isPrice(currentPrice) && typeof signal === 'object' && signal !== null) {
    let levels
    try {
      levels = plainLevels(signal)
    } catch {
      // A getter threw: native code reads it again, and reports it.
    }
    if (levels) return native.shouldCloseLevels(levels.buy, levels.entryPrice, levels.stopLoss, levels.takeProfit, currentPrice)
  }
  return native.shouldCloseSignal(signal, currentPrice)
}

const plainLevels = (signal) => {
  // What `toJSON` says counts, as when the signal is recorded.
  if (typeof signal.toJSON === 'function') return undefined
  const { signalType, entryPrice, stopLoss, takeProfit } = signal
  const plain = isPrice(entryPrice) && isPrice(stopLoss) && isPrice(takeProfit) && signal.expiresAt == null
  // Which of two spellings counts is not decided here.
  const other = signal.signal_type ?? signal.entry_price ?? signal.stop_loss ?? signal.take_profit ?? signal.expires_at
  return plain && other == null && (signalType === 'BUY' || signalType === 'SELL') && { buy: signalType === 'BUY', entryPrice, stopLoss, takeProfit }
}

/** The most candles that are packed; more are the native code's to refuse. */
const MOST_PACKED = 100_000

/**
 * Candles as a Float64Array: time, open, high, low, close, volume of each, where all of them are numbers, as they nearly always
 * are; NaN for the times where no candle has one. That takes a tenth of the time of reading the objects from native code, which
 * does it for all others, and reports what is wrong with them.
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
    // A candle is null, a getter threw, a proxy was revoked: native code reads it again, and reports it.
    return undefined
  }
}

/** The time of a candle under the names that are the most usual; native code knows more of them. */
const timeOf = (candle) => {
  if (Array.isArray(candle)) return candle[0]
  const { time, timestamp, openTime, open_time } = candle
  return time ?? timestamp ?? openTime ?? open_time
}

const PRICES = new Set(['open', 'high', 'low', 'close', 'volume'])

/** Whether there is no doubt about a candle's columns, nor its time: without one, nothing else may have been meant as one. */
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

/** Options with a harmless listener under `name`. */
const listening = (name) => (options) =>
  typeof options?.[name] === 'function' ? { ...options, [name]: harmless(name, options[name]) } : options

class SignalLoop extends native.SignalLoop {
  constructor(options) {
    super(read((given) => listening('onEvent')(completed(given)), options))
  }

  train(options) {
    return promised(() => super.train(read(listening('onProgress'), options)))
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
    // Events may be on their way when the listener is taken off.
    const unsubscribe = super.onEvent(typeof hear === 'function' ? (event) => wanted && hear(event) : hear)
    return () => {
      wanted = false
      unsubscribe()
    }
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
for (const tracker of [FeedbackTracker, native.FeedbackTracker]) tracker.prototype.shouldCloseSignal = shouldCloseSignal

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
    try {
      return this.#find().isModelAvailable()
    } catch (error) {
      // There is no loop that could tell it.
      warnOnce(`no model can be used: ${error.message}`, error.code)
      return false
    }
  }
}

module.exports.__napiBindingTarget = native.__napiBindingTarget
module.exports.SignalLoop = SignalLoop
module.exports.FeedbackTracker = FeedbackTracker
module.exports.Predictor = native.Predictor
module.exports.Scheduler = native.Scheduler
module.exports.MLPredictor = MLPredictor
module.exports.feedbackTracker = new FeedbackTracker()
module.exports.mlPredictor = new MLPredictor()
module.exports.train = ofDefaultLoop('train')
module.exports.predict = ofDefaultLoop('predict')
module.exports.generateSignal = ofDefaultLoop('generateSignal')
module.exports.fetchData = ofDefaultLoop('fetchData')
module.exports.models = ofDefaultLoop('models')
module.exports.evaluate = ofDefaultLoop('evaluate')
module.exports.report = ofDefaultLoop('report')
// The default loop of each request: it may have been closed, and opened anew, since the one before.
module.exports.dashboard = (options) =>
  dashboardOf(native.allowedHosts(options), (request) => promised(() => native.SignalLoop.prototype.dashboard.call(defaultLoop(), request)))
module.exports.onEvent = (listener) => defaultLoop().onEvent(listener)
module.exports.startScheduler = (options) => defaultLoop().startScheduler(options)
module.exports.rollback = ofDefaultLoop('rollback')
module.exports.metrics = ofDefaultLoop('metrics')
module.exports.configure = (options) => defaultLoop().configure(options)
module.exports.close = ofDefaultLoop('close')
