import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as signalloop from '..'
import { MLPredictor, SignalLoop, type ErrorCode } from '..'
import { candles, storeCandles } from './helpers/candles'
import { contents, failure, newHome, newLoop } from './helpers/home'

const loop = newLoop()
const { feedbackTracker } = loop
storeCandles(loop.home, candles(120))

const good = {
  id: 'a',
  pair: 'BTCUSDT',
  signalType: 'BUY',
  confidence: 70,
  entryPrice: 100,
  stopLoss: 98,
  takeProfit: 104,
  timestamp: Date.now(),
}
const without = (key: keyof typeof good) => Object.fromEntries(Object.entries(good).filter(([name]) => name !== key))

type Case = [name: string, work: () => unknown, code: ErrorCode, ...said: string[]]

// TypeScript would refuse these values; these tests are for callers without it.
const any = (value: unknown) => value as any
const record = (change: object) => () => feedbackTracker.recordSignal(any({ ...good, ...change }))
const predict = (rows: unknown) => () => loop.predict({ symbol: 'BTCUSDT', candles: any(rows) })
const rows = candles(120)

const signals: Case[] = [
  ['a price that is NaN', record({ entryPrice: NaN }), 'ERR_INVALID_SIGNAL', 'entryPrice', 'NaN'],
  ['an infinite stop', record({ stopLoss: -Infinity }), 'ERR_INVALID_SIGNAL', 'stopLoss', '-Infinity'],
  ['an infinite target', record({ takeProfit: Infinity }), 'ERR_INVALID_SIGNAL', 'takeProfit', 'Infinity'],
  ['a price of 0', record({ entryPrice: 0 }), 'ERR_INVALID_SIGNAL', 'entryPrice', '0'],
  ['a price as text', record({ entryPrice: '100' }), 'ERR_INVALID_SIGNAL', 'entryPrice', '"100"'],
  ['a stop above the entry of a BUY', record({ stopLoss: 101 }), 'ERR_INVALID_SIGNAL', 'stopLoss', '101'],
  ['a target below the entry of a BUY', record({ takeProfit: 99 }), 'ERR_INVALID_SIGNAL', 'takeProfit', '99'],
  ['a stop below the entry of a SELL', record({ signalType: 'SELL' }), 'ERR_INVALID_SIGNAL', 'stopLoss', '98'],
  ['a confidence of 101', record({ confidence: 101 }), 'ERR_INVALID_SIGNAL', 'confidence', '101'],
  ['a confidence of NaN', record({ confidence: NaN }), 'ERR_INVALID_SIGNAL', 'confidence', 'NaN'],
  ['an unknown type', record({ signalType: 'LONG' }), 'ERR_INVALID_SIGNAL', 'signalType', 'LONG'],
  ['an Invalid Date', record({ timestamp: new Date('x') }), 'ERR_INVALID_SIGNAL', 'timestamp', 'Invalid Date'],
  ['seconds for milliseconds', record({ timestamp: 1_757_764_800 }), 'ERR_INVALID_SIGNAL', 'timestamp', '1757764800'],
  ['an expiry before the signal', record({ expiresAt: 1_600_000_000_000 }), 'ERR_INVALID_SIGNAL', 'expiresAt', '2020-09-13'],
  ['a symbol that leaves its folder', record({ pair: '../../x' }), 'ERR_INVALID_SIGNAL', 'symbol', '../../x'],
  ['a timeframe of 7h', record({ timeframe: '7h' }), 'ERR_INVALID_SIGNAL', 'timeframe', '7h'],
  ['an empty id', record({ id: '' }), 'ERR_INVALID_SIGNAL', 'id', '""'],
  ['an id of 300 bytes', record({ id: 'x'.repeat(300) }), 'ERR_INVALID_SIGNAL', 'id', '256'],
  ['an id that is no Unicode', record({ id: '\ud800' }), 'ERR_INVALID_SIGNAL', 'id'],
  ['one such id of many', () => feedbackTracker.recordSignals(any([good, { ...good, id: '\ud801' }])), 'ERR_INVALID_SIGNAL', 'id'],
  ['a time in the year 9999', record({ timestamp: '9999-01-01T00:00:00Z' }), 'ERR_INVALID_SIGNAL', 'timestamp', '9999'],
  ['a pair of NaN', record({ pair: NaN }), 'ERR_INVALID_SIGNAL', 'symbol', 'NaN'],
  ['a BigInt for a pair', record({ pair: 5n }), 'ERR_INVALID_SIGNAL', 'symbol', '5'],
  ['indicators as a list', record({ indicators: [1] }), 'ERR_INVALID_SIGNAL', 'indicators', '[1]'],
  ['an empty strategy', record({ strategy: '' }), 'ERR_INVALID_SIGNAL', 'strategy', '""'],
  ['a blank strategy', record({ strategy: '  ' }), 'ERR_INVALID_SIGNAL', 'strategy'],
  ['a strategy of 65 characters', record({ strategy: 'x'.repeat(65) }), 'ERR_INVALID_SIGNAL', 'strategy', '64'],
  ['a strategy of two lines', record({ strategy: 'a\nb' }), 'ERR_INVALID_SIGNAL', 'strategy', 'control'],
  ['a strategy that is an object', record({ strategy: { name: 'rsi' } }), 'ERR_INVALID_SIGNAL', 'strategy', 'rsi'],
  ['a strategy of NaN', record({ strategy: NaN }), 'ERR_INVALID_SIGNAL', 'strategy', 'NaN'],
  ['a strategy that is a function', record({ strategy: () => 'rsi' }), 'ERR_INVALID_SIGNAL', 'strategy', 'function'],
  ['taken as text', record({ taken: 'false' }), 'ERR_INVALID_SIGNAL', 'taken', '"false"'],
  ['taken as a number', record({ taken: 0 }), 'ERR_INVALID_SIGNAL', 'taken', '0'],
  ['what was said', record({ said: { probability: 0.9 } }), 'ERR_INVALID_SIGNAL', 'said', '0.9'],
  ['no signal', () => any(feedbackTracker).recordSignal(), 'ERR_INVALID_ARGUMENT', 'signal'],
  ['a text for a signal', () => feedbackTracker.recordSignal(any('x')), 'ERR_INVALID_ARGUMENT', 'signal', '"x"'],
  ['one signal for many', () => feedbackTracker.recordSignals(any(good)), 'ERR_INVALID_ARGUMENT', 'signals'],
  ['one bad signal of many', () => feedbackTracker.recordSignals(any([good, { ...good, id: 'b', entryPrice: -1 }])), 'ERR_INVALID_SIGNAL', 'entryPrice', '-1'],
  ...(['id', 'pair', 'signalType', 'confidence', 'entryPrice', 'timestamp'] as const).map(
    (key): Case => [`no ${key}`, () => feedbackTracker.recordSignal(any(without(key))), 'ERR_INVALID_SIGNAL', key === 'pair' ? 'symbol' : key, 'nothing'],
  ),
]

const update = (change: object) => () => feedbackTracker.updateOutcome(any({ signalId: 'a', outcome: 'SUCCESS', ...change }))

const feedback: Case[] = [
  ['an unknown outcome', update({ outcome: 'WON' }), 'ERR_INVALID_ARGUMENT', 'outcome', 'WON'],
  ['an outcome that is no end', update({ outcome: 'ACTIVE' }), 'ERR_INVALID_ARGUMENT', 'outcome', 'ACTIVE'],
  ['no outcome', update({ outcome: undefined }), 'ERR_INVALID_ARGUMENT', 'outcome', 'nothing'],
  ['no id', update({ signalId: null }), 'ERR_INVALID_ARGUMENT', 'signalId', 'nothing'],
  ['an exit price of NaN', update({ exitPrice: NaN }), 'ERR_INVALID_ARGUMENT', 'exitPrice', 'NaN'],
  ['a profit of Infinity', update({ profitLossPercent: Infinity }), 'ERR_INVALID_ARGUMENT', 'profitLossPercent', 'Infinity'],
  ['a function for a profit', update({ profitLossPercent: () => 5 }), 'ERR_INVALID_ARGUMENT', 'profitLossPercent', 'function'],
  ['a symbol for an exit price', update({ exitPrice: Symbol('x') }), 'ERR_INVALID_ARGUMENT', 'exitPrice', 'symbol'],
  ['a tick of the pair NaN', () => feedbackTracker.onPrice(any(NaN), 5), 'ERR_INVALID_ARGUMENT', 'pair', 'NaN'],
  ['a misspelt option', update({ exitprice: 1 }), 'ERR_INVALID_ARGUMENT', 'exitprice', '1'],
  ['a tick of NaN', () => feedbackTracker.onPrice('BTCUSDT', NaN), 'ERR_INVALID_ARGUMENT', 'price', 'NaN'],
  ['a tick of 0', () => feedbackTracker.onPrice('BTCUSDT', 0), 'ERR_INVALID_ARGUMENT', 'price', '0'],
  ['a tick as text', () => feedbackTracker.onPrice('BTCUSDT', any('5')), 'ERR_INVALID_ARGUMENT', 'price', '"5"'],
  ['a tick at an Invalid Date', () => feedbackTracker.onPrice('BTCUSDT', 5, new Date(NaN)), 'ERR_INVALID_ARGUMENT', 'timeMs', 'Invalid Date'],
  ['a tick of no pair', () => feedbackTracker.onPrice(any(undefined), 5), 'ERR_INVALID_ARGUMENT', 'pair'],
  ['a tick of ../../x', () => feedbackTracker.onPrice('../../x', 5), 'ERR_INVALID_ARGUMENT', 'symbol', '../../x'],
  ['a candle without time', () => feedbackTracker.onCandle('BTCUSDT', { open: 1, high: 1, low: 1, close: 1, volume: 1 }), 'ERR_INVALID_ARGUMENT', 'time'],
  ['a candle of NaN', () => feedbackTracker.onCandle('BTCUSDT', [Date.now(), NaN, 1, 1, 1, 1]), 'ERR_INVALID_CANDLE', 'open', 'NaN'],
  ['days of NaN', () => feedbackTracker.getStats(undefined, undefined, NaN), 'ERR_INVALID_ARGUMENT', 'days', 'NaN'],
  ['days of 0', () => feedbackTracker.getStats(undefined, undefined, 0), 'ERR_INVALID_ARGUMENT', 'days', '0'],
  ['totals of 0 days', () => feedbackTracker.getPerformanceStats(undefined, undefined, 0), 'ERR_INVALID_ARGUMENT', 'days', '0'],
  ['a timeframe of 7h', () => feedbackTracker.getStats(undefined, any('7h')), 'ERR_INVALID_ARGUMENT', 'timeframe', '7h'],
  ['a scorecard since never', () => feedbackTracker.scorecard({ since: 'never' }), 'ERR_INVALID_ARGUMENT', 'since', 'never'],
  ['a scorecard of strategy 5', () => feedbackTracker.scorecard({ strategy: any(5) }), 'ERR_INVALID_ARGUMENT', 'strategy', '5'],
  ['a scorecard of no strategy', () => feedbackTracker.scorecard({ strategy: '' }), 'ERR_INVALID_ARGUMENT', 'strategy', '""'],
  ['a scorecard of ../../x', () => feedbackTracker.scorecard({ symbol: '../../x' }), 'ERR_INVALID_ARGUMENT', 'symbol', '../../x'],
  ['a misspelt option of scorecard', () => feedbackTracker.scorecard(any({ pair: 'BTCUSDT' })), 'ERR_INVALID_ARGUMENT', 'pair'],
  ['advice since never', () => feedbackTracker.advise({ since: 'never' }), 'ERR_INVALID_ARGUMENT', 'since', 'never'],
  ['advice for strategy 5', () => feedbackTracker.advise({ strategy: any(5) }), 'ERR_INVALID_ARGUMENT', 'strategy', '5'],
  ['advice for ../../x', () => feedbackTracker.advise({ symbol: '../../x' }), 'ERR_INVALID_ARGUMENT', 'symbol', '../../x'],
  ['advice for 7h', () => feedbackTracker.advise({ timeframe: any('7h') }), 'ERR_INVALID_ARGUMENT', 'timeframe', '7h'],
  ['advice for a timeframe of 5', () => feedbackTracker.advise({ timeframe: any(5) }), 'ERR_INVALID_ARGUMENT', 'timeframe', '5'],
  ['a misspelt option of advise', () => feedbackTracker.advise(any({ pair: 'BTCUSDT' })), 'ERR_INVALID_ARGUMENT', 'pair'],
  ['a price of NaN to shouldCloseSignal', () => feedbackTracker.shouldCloseSignal(any(good), NaN), 'ERR_INVALID_ARGUMENT', 'currentPrice', 'NaN'],
  ['no type to shouldCloseSignal', () => feedbackTracker.shouldCloseSignal(any({ entryPrice: 1 }), 1), 'ERR_INVALID_SIGNAL', 'signalType', 'nothing'],
  ['a stop of NaN to shouldCloseSignal', () => feedbackTracker.shouldCloseSignal(any({ ...good, stopLoss: NaN }), 1), 'ERR_INVALID_SIGNAL', 'stopLoss', 'NaN'],
]

const market: Case[] = [
  ['no candles', predict([]), 'ERR_INVALID_ARGUMENT', 'candles', '[]'],
  ['99 candles', predict(rows.slice(0, 99)), 'ERR_NO_DATA', '99', '100'],
  ['candles out of order', predict([...rows].reverse()), 'ERR_INVALID_CANDLE', 'time', 'candle 1'],
  ['a candle twice', predict([...rows, rows.at(-1)!]), 'ERR_INVALID_CANDLE', 'time', 'candle 120'],
  ['a candle of NaN', predict(rows.map((row, i) => (i === 7 ? [...row.slice(0, 4), NaN, 1] : row))), 'ERR_INVALID_CANDLE', 'candle 7', 'close', 'NaN'],
  ['a low above the high', predict(rows.map((row, i) => (i === 3 ? [row[0], 5, 5, 6, 5, 1] : row))), 'ERR_INVALID_CANDLE', 'candle 3', 'low', '6'],
  ['a negative volume', predict(rows.map((row, i) => (i === 3 ? [...row.slice(0, 5), -1] : row))), 'ERR_INVALID_CANDLE', 'candle 3', 'volume', '-1'],
  ['times of some candles only', predict(rows.map((row, i) => (i === 3 ? [null, ...row.slice(1)] : row))), 'ERR_INVALID_CANDLE', 'candle 3', 'time'],
  ['no symbol', () => loop.predict(any({})), 'ERR_INVALID_ARGUMENT', 'symbol', 'nothing'],
  ['a symbol of ../../x', () => loop.predict({ symbol: '../../x' }), 'ERR_INVALID_ARGUMENT', 'symbol', '../../x'],
  ['a misspelt option of predict', () => loop.predict(any({ symbol: 'BTCUSDT', timeFrame: '1h' })), 'ERR_INVALID_ARGUMENT', 'timeFrame', '1h'],
  ['an unknown risk', () => loop.generateSignal({ symbol: 'BTCUSDT', riskTolerance: any('wild') }), 'ERR_INVALID_ARGUMENT', 'riskTolerance', 'wild'],
  ['no market', () => new MLPredictor('', '1h'), 'ERR_INVALID_ARGUMENT', 'symbol', '""'],
  ['a market of 7h', () => new MLPredictor('BTCUSDT', any('7h')), 'ERR_INVALID_ARGUMENT', 'timeframe', '7h'],
  ['a number for a symbol', () => new MLPredictor(any(5)), 'ERR_INVALID_ARGUMENT', 'symbol', '5'],
  ['a number for a timeframe', () => loop.predictor('BTCUSDT', any(5)), 'ERR_INVALID_ARGUMENT', 'timeframe', '5'],
]

const train = (options: unknown) => () => loop.train(any(options))

const options: Case[] = [
  ['an unknown mode', train({ mode: 'some' }), 'ERR_INVALID_ARGUMENT', 'mode', 'some'],
  ['mode symbol without symbols', train({ mode: 'symbol' }), 'ERR_INVALID_ARGUMENT', 'symbols'],
  ['a symbol for symbols', train({ symbols: 'BTCUSDT' }), 'ERR_INVALID_ARGUMENT', 'symbols', 'BTCUSDT'],
  ['a timeframe of 7h', train({ timeframes: ['7h'] }), 'ERR_INVALID_ARGUMENT', 'timeframe', '7h'],
  ['an age of NaN', train({ maxAgeHours: NaN }), 'ERR_INVALID_ARGUMENT', 'maxAgeHours', 'NaN'],
  ['a misspelt option of train', train({ symbol: ['BTCUSDT'] }), 'ERR_INVALID_ARGUMENT', 'symbol', 'BTCUSDT'],
  ['a listener that is none', train({ onProgress: 5 }), 'ERR_INVALID_ARGUMENT', 'onProgress', '5'],
  ['a signal that is none', train({ signal: {} }), 'ERR_INVALID_ARGUMENT', 'signal'],
  ['a signal of 5', train({ signal: 5 }), 'ERR_INVALID_ARGUMENT', 'signal', '5'],
  ['a number for options', train(5), 'ERR_INVALID_ARGUMENT', 'options', '5'],
  ['a function for options', train(() => {}), 'ERR_INVALID_ARGUMENT', 'options'],
  ['fetch as text', train({ fetch: 'no' }), 'ERR_INVALID_ARGUMENT', 'fetch', 'no'],
  ['a misspelt option of fetchData', () => loop.fetchData(any({ symbl: [] })), 'ERR_INVALID_ARGUMENT', 'symbl'],
  ['no threads', () => new SignalLoop({ threads: 0 }), 'ERR_INVALID_ARGUMENT', 'threads', '0'],
  ['half a thread', () => new SignalLoop({ threads: 1.5 }), 'ERR_INVALID_ARGUMENT', 'threads', '1.5'],
  ['an empty home', () => new SignalLoop({ home: '' }), 'ERR_INVALID_ARGUMENT', 'home', '""'],
  ['a home that is a number', () => new SignalLoop(any({ home: 5 })), 'ERR_INVALID_ARGUMENT', 'home', '5'],
  ['an exchange of ftp', () => new SignalLoop({ home: loop.home, exchangeUrl: 'ftp://x' }), 'ERR_INVALID_CONFIG', 'exchange_url', 'ftp://x'],
  ['candles that are no function', () => new SignalLoop(any({ fetchCandles: 5 })), 'ERR_INVALID_ARGUMENT', 'fetchCandles', '5'],
  ['a misspelt option of SignalLoop', () => new SignalLoop(any({ hme: 'x' })), 'ERR_INVALID_ARGUMENT', 'hme', 'x'],
  ['a function for a loop’s options', () => new SignalLoop(any(() => {})), 'ERR_INVALID_ARGUMENT', 'options'],
  ['three trees', () => loop.configure({ trees: 3 }), 'ERR_INVALID_CONFIG', 'trees', '3'],
  ['a zone on Mars', () => loop.configure({ timezone: 'Mars/Base' }), 'ERR_INVALID_CONFIG', 'timezone', 'Mars/Base'],
  ['no symbols', () => loop.configure({ symbols: [] }), 'ERR_INVALID_CONFIG', 'symbols', '[]'],
  ['a stop of 0 ranges', () => loop.configure({ signal: { stopAtr: 0 } }), 'ERR_INVALID_CONFIG', 'signal.stopAtr', '0'],
  ['a text for a configuration', () => loop.configure(any('x')), 'ERR_INVALID_ARGUMENT', 'options', '"x"'],
  ['a function for a configuration', () => loop.configure(any(() => {})), 'ERR_INVALID_ARGUMENT', 'options'],
]

describe.each([
  ['a signal', signals],
  ['feedback', feedback],
  ['a market', market],
  ['options', options],
])('%s', (_name, cases) => {
  test.each(cases)('%s', async (_case, work, code, ...said) => {
    const before = contents(loop.home)
    const error = await failure(work)
    expect([error.code, error.message]).toEqual([code, error.message])
    for (const text of said) expect(error.message).toContain(text)
    expect(contents(loop.home)).toEqual(before)
  })
})

test('what TypeScript calls a promise rejects and never throws', async () => {
  const calls = [
    () => feedbackTracker.recordSignal(any(null)),
    () => feedbackTracker.recordSignals(any(null)),
    () => feedbackTracker.updateOutcome(any(null)),
    () => feedbackTracker.onPrice(any(null), any(null)),
    () => feedbackTracker.onCandle(any(null), any(null)),
    () => feedbackTracker.getStats(any(5)),
    () => loop.train(any(5)),
    () => loop.predict(any(null)),
    () => loop.generateSignal(any(null)),
    () => loop.fetchData(any(5)),
  ]
  for (const call of calls) {
    const promise = call()
    expect(typeof promise.then).toBe('function')
    expect((await failure(() => promise)).code).toMatch(/^ERR_/)
  }
})

describe('a wrong training_config.json', () => {
  const home = newHome()
  writeFileSync(join(home, 'training_config.json'), '{ "trees": 3 }')

  test('is refused by file, key and value', async () => {
    const error = await failure(() => new SignalLoop({ home }))
    expect(error.code).toBe('ERR_INVALID_CONFIG')
    for (const said of ['training_config.json', '`trees`', '3', '10 to 2000']) expect(error.message).toContain(said)
  })

  test('rejects, of the default loop too', async () => {
    const before = process.env.SIGNALLOOP_HOME
    process.env.SIGNALLOOP_HOME = home
    try {
      for (const call of [() => signalloop.feedbackTracker.getStats(), () => signalloop.predict({ symbol: 'BTCUSDT' })]) {
        const promise = call()
        expect((await failure(() => promise)).code).toBe('ERR_INVALID_CONFIG')
      }
    } finally {
      if (before === undefined) delete process.env.SIGNALLOOP_HOME
      else process.env.SIGNALLOOP_HOME = before
    }
  })
})

test('an unknown key warns by file and name', () => {
  const home = newHome()
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'training_config.json'), '{ "tres": 3, "signal": { "stop": 1 } }')
  const { warnings } = new SignalLoop({ home })
  expect(warnings).toHaveLength(2)
  expect(warnings.join()).toMatch(/training_config\.json: unknown key `signal\.stop`/)
  expect(warnings.join()).toMatch(/`tres`/)
})

test('a price or a candle from the future is refused: it would put all real prices out of date', async () => {
  const { feedbackTracker } = newLoop()
  const soon = Date.now() + 3_600_000
  const open = Math.floor(Date.now() / 3_600_000) * 3_600_000
  const candle = { time: open, open: 1, high: 1, low: 1, close: 1, volume: 1 }
  for (const work of [
    () => feedbackTracker.onPrice('BTCUSDT', 1, soon),
    () => feedbackTracker.onPrices(['BTCUSDT'], Float64Array.of(1), Float64Array.of(soon)),
    // The candle of this hour has not closed yet.
    () => feedbackTracker.onCandle('BTCUSDT', { ...candle, time: open + 120_000 }, '1h'),
  ]) {
    expect(await failure(work)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('in the future') })
  }
  expect(await feedbackTracker.onCandle('BTCUSDT', { ...candle, time: open - 3_600_000 }, '1h')).toEqual([])
})
