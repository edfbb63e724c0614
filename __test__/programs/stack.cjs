// Calls every export in each of the last frames of an endless recursion. Prints the names of the exports whose calls either
// gave the usual result or threw JavaScript's RangeError, and finally that everything still works.
const signalloop = require('../..')

const HOME = process.env.SIGNALLOOP_HOME
const options = { home: HOME, threads: 1, exchangeUrl: process.env.SIGNALLOOP_EXCHANGE_URL }
const loop = new signalloop.SignalLoop(options)
const signal = { id: 'a', pair: 'BTCUSDT', signalType: 'BUY', confidence: 70, entryPrice: 100, stopLoss: 95, takeProfit: 110, timestamp: 1.75e12 }
const market = { symbol: 'BTCUSDT', timeframe: '1h' }
const none = { symbols: [], timeframes: [] }
const candle = [1.75e12, 1, 1, 1, 1, 1]

/** What a method is given where it needs something; all others are given nothing. */
const ARGUMENTS = {
  amendSignal: [{ signalId: 'none', stopLoss: 1 }],
  assess: [signal],
  cancelSignal: [{ signalId: 'none' }],
  configure: [{ trees: 10 }],
  evaluate: [market],
  exportTrainingData: [`${HOME}/rows.csv`],
  fetchData: [none],
  fromText: ['LONG BTC/USDT Entry: 100 Stop: 95 Target: 110', { at: 1.75e12 }],
  fromTradingView: ['{"ticker":"BTCUSDT","action":"buy","price":"100","sl":"95"}', { at: 1.75e12 }],
  generateSignal: [market],
  getSignal: ['none'],
  importSignals: [`${HOME}/none.jsonl`],
  MLPredictor: ['BTCUSDT', '1h'],
  onCandle: ['BTCUSDT', candle],
  onEvent: [() => {}],
  onPrice: ['BTCUSDT', 100],
  onPrices: [['BTCUSDT'], Float64Array.of(100)],
  predict: [market],
  predictPacked: [market, Float64Array.from(candle)],
  predictor: ['BTCUSDT', '1h'],
  recordSignal: [signal],
  recordSignals: [[signal]],
  report: [{ out: `${HOME}/report.html` }],
  rollback: [market],
  runOnce: ['evaluate'],
  shouldCloseSignal: [signal, 100],
  SignalLoop: [options],
  startScheduler: [{ enabled: false }],
  train: [{ ...none, fetch: false }],
  updateOutcome: [{ signalId: 'none', outcome: 'SUCCESS', profitLossPercent: 1 }],
}
/** Classes that the package makes by itself. */
const NOT_TO_BE_MADE = ['Predictor', 'Scheduler']

/** Every export, and every member of the classes, so that what is new is tried too. */
function exported() {
  const found = new Map()
  const members = (of, object) => {
    let level = 0
    for (let one = object; one && one !== Object.prototype; one = Object.getPrototypeOf(one), level++) {
      for (const [name, { value, get }] of Object.entries(Object.getOwnPropertyDescriptors(one))) {
        if (name === 'constructor') continue
        const call = get ? () => get.call(object) : typeof value === 'function' && (() => value.apply(object, ARGUMENTS[name]))
        if (call) found.set(`${of}.${name} ${'^'.repeat(level)}`.trim(), call)
      }
    }
  }
  for (const [name, value] of Object.entries(signalloop)) {
    if (typeof value !== 'function' || NOT_TO_BE_MADE.includes(name)) continue
    const made = /^[A-Z]/.test(name)
    found.set(name, made ? () => new value(...(ARGUMENTS[name] ?? [])) : () => value(...(ARGUMENTS[name] ?? [])))
  }
  members('loop', loop)
  members('feedbackTracker', signalloop.feedbackTracker)
  members('loop.feedbackTracker', loop.feedbackTracker)
  members('mlPredictor', signalloop.mlPredictor)
  members('loop.predictor()', loop.predictor())
  members('loop.startScheduler()', loop.startScheduler({ enabled: false }))
  // What closes comes last.
  const closes = ([name]) => /\bclose\b/.test(name)
  const all = [...found]
  return [...all.filter((one) => !closes(one)), ...all.filter(closes)]
}

const pending = []
const keep = (value) => typeof value?.then === 'function' && pending.push(value)

/** Whether it is called from the `n`th frame before the end of the stack: all the last, and some of so many that there is room enough. */
const isCalledFrom = (n) => n <= 30 || (n <= 4000 && n % 40 === 0)

const isEndOfStack = (error) => error instanceof RangeError && error.message === 'Maximum call stack size exceeded'

/** A recursion without end that calls `each` in its last frames; their size decides at what place of the call the stack ends. */
function recursion(padding) {
  const locals = Array.from({ length: padding }, (_, i) => `l${i}`)
  const body = `return (each) => {
    const again = () => {
      ${locals.map((name) => `const ${name} = each`).join('\n')}
      try {
        again()
      } catch (error) {
        if (!isEndOfStack(error)) throw error
      }
      each()
      return [${locals.join()}]
    }
    again()
  }`
  return new Function('isEndOfStack', body)(isEndOfStack)
}

function tryAround(name, call) {
  for (const padding of [0, 5, 11]) {
    let [frame, ended, done] = [0, 0, 0]
    recursion(padding)(() => {
      if (!isCalledFrom(++frame)) return
      try {
        keep(call())
        done++
      } catch (error) {
        if (!isEndOfStack(error)) throw error
        ended++
        throw error
      }
    })
    if (done === 0) throw new Error(`all ${ended} calls met the end of the stack`)
  }
  console.log(name)
}

async function main() {
  const all = exported()
  for (const [name, call] of all) {
    try {
      tryAround(name, call)
    } catch (error) {
      console.log(`${name}: ${error.name}: ${error.message} [${error.code}]`)
    }
  }
  await loop.close()
  const settled = await Promise.allSettled(pending)
  for (const { reason } of settled) {
    const known = !reason || reason instanceof RangeError || String(reason.code).startsWith('ERR_')
    if (!known) console.log(`rejected without a code: ${reason?.stack ?? reason}`)
  }
  const { feedbackTracker } = new signalloop.SignalLoop({ ...options, home: `${HOME}/after` })
  if (await feedbackTracker.recordSignal(signal)) console.log(`all ${all.length} work as before`)
}

process.on('unhandledRejection', () => {})
main()
