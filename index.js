'use strict'

// The default loop, and the names under which the package shows it. Everything else is native (native.js is generated).
//
// The home comes from `process.env` here and not in native code: Jest gives each test file, and worker_threads each
// worker, a `process.env` of its own that native code cannot see.

const native = require('./native.js')

const defaultLoop = () =>
  native.sharedLoop(process.env.SIGNALLOOP_HOME || 'ml', process.env.SIGNALLOOP_EXCHANGE_URL || undefined)

/** An object with the methods of `type`, each looked up on `find()` when called: free of `this`, open to spies. */
const methodsOf = (type, find) =>
  Object.fromEntries(
    Object.getOwnPropertyNames(type.prototype)
      .filter((name) => name !== 'constructor')
      .map((name) => [name, (...args) => find()[name](...args)]),
  )

const ofDefaultLoop = (name) => (...args) => defaultLoop()[name](...args)

/** `new FeedbackTracker()`: the default loop's. */
class FeedbackTracker {
  constructor() {
    Object.assign(this, methodsOf(native.FeedbackTracker, () => defaultLoop().feedbackTracker))
    // Asks nothing of any loop: straight to the rule.
    this.shouldCloseSignal = native.shouldCloseSignal
  }
}

/** `new MLPredictor(symbol, timeframe)`: the default loop's. */
class MLPredictor {
  constructor(symbol, timeframe) {
    native.checkMarket(symbol, timeframe)
    Object.assign(this, methodsOf(native.Predictor, () => defaultLoop().predictor(symbol, timeframe)))
  }
}

module.exports.SignalLoop = native.SignalLoop
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
module.exports.configure = ofDefaultLoop('configure')
module.exports.close = ofDefaultLoop('close')
module.exports.runCli = native.runCli
