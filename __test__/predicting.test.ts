import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { CandleInput, CandleRequest } from '..'
import { HOUR, candles, storeCandles, type Row } from './helpers/candles'
import { failure, newLoop } from './helpers/home'

const loop = newLoop()
const rows = candles(600)
const recent = rows.slice(-200)
const bare = ([, open, high, low, close, volume]: Row) => ({ open, high, low, close, volume })
const object = ([time, open, high, low, close, volume]: Row) => ({ time, open, high, low, close, volume })

beforeAll(async () => {
  storeCandles(loop.home, rows)
  expect(loop.predictor().isModelAvailable()).toBe(false)
  await loop.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })
})

const sum = ({ BUY, SELL, HOLD }: { BUY: number; SELL: number; HOLD: number }) => BUY + SELL + HOLD

test('from stored candles', async () => {
  const prediction = await loop.predict({ symbol: 'BTC/USDT' })
  expect(prediction).toMatchObject({ symbol: 'BTCUSDT', timeframe: '1h', price: rows.at(-1)![4], stale: false })
  expect(prediction.candlesUntil).toBe(new Date(rows.at(-1)![0] + HOUR).toISOString())
  expect(sum(prediction.probabilities)).toBeCloseTo(100, 9)
  expect(sum(prediction.baseRates)).toBeCloseTo(100, 9)
  expect(prediction.confidence).toBe(prediction.probabilities[prediction.signal])
  expect(prediction.breakEven).toBeGreaterThan(100 / 3)
  expect(prediction.signal === 'HOLD').toBe(prediction.reason !== undefined)
})

test('from a candle that was given as it closed, before a fetch has stored it', async () => {
  const own = newLoop()
  storeCandles(own.home, rows.slice(0, -1))
  await own.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })
  expect(await own.predict({ symbol: 'BTCUSDT' })).toMatchObject({ price: rows.at(-2)![4], stale: true })
  const last = rows.at(-1)!
  await own.feedbackTracker.onCandle('BTCUSDT', object(last))
  const candlesUntil = new Date(last[0] + HOUR).toISOString()
  expect(await own.predict({ symbol: 'BTCUSDT' })).toMatchObject({ price: last[4], stale: false, candlesUntil })
})

test('from candles given as arrays, as objects, and without times', async () => {
  const stored = await loop.predict({ symbol: 'BTCUSDT' })
  const times: ((ms: number) => Date | string | number)[] = [(ms) => ms, (ms) => new Date(ms), (ms) => new Date(ms).toISOString()]
  const series: CandleInput[][] = [recent, ...times.map((as) => recent.map((row) => ({ ...object(row), time: as(row[0]) })))]
  for (const one of series) {
    const prediction = await loop.predict({ symbol: 'BTCUSDT', timeframe: '1h', candles: one })
    expect(prediction.candlesUntil).toBe(stored.candlesUntil)
    expect(sum(prediction.probabilities)).toBeCloseTo(100, 9)
    expect(prediction.probabilities.BUY).toBeCloseTo(stored.probabilities.BUY, 3)
    // Numbers cross over packed, other times are read one by one: to the same prediction.
    expect(prediction).toEqual(await loop.predict({ symbol: 'BTCUSDT', candles: recent }))
  }
  const timeless = recent.map(({ 1: open, 2: high, 3: low, 4: close, 5: volume }) => ({ open, high, low, close, volume }))
  const prediction = await loop.predict({ symbol: 'BTCUSDT', candles: timeless })
  expect(prediction.price).toBe(stored.price)
  expect(prediction.stale).toBe(false)
  expect(Math.abs(Date.parse(prediction.candlesUntil) - Date.now())).toBeLessThan(10_000)
})

test('too little to predict from is told by its code', async () => {
  expect((await failure(() => loop.predict({ symbol: 'BTCUSDT', candles: rows.slice(-99) }))).code).toBe('ERR_NO_DATA')
  const none = await failure(() => loop.predict({ symbol: 'ETHUSDT', candles: recent }))
  expect(none.code).toBe('ERR_NO_MODEL')
  expect(none.message).toContain('signalloop train --symbol ETHUSDT --timeframe 1h')
  expect((await failure(() => loop.predict({ symbol: 'ETHUSDT' }))).code).toBe('ERR_NO_DATA')
})

test('times of candles are read under the usual names, and what looks like one is never taken for none', async () => {
  const known = await loop.predict({ symbol: 'BTCUSDT', candles: recent })
  const opinion = await loop.predictor('BTCUSDT').predict(recent)
  // What the model thinks of it, be it that it knows nothing; a wrong time is told as an error of the candle.
  expect(opinion.error ?? '').not.toMatch(/candle \d/)
  const named = (name: string, as: (ms: number) => unknown = (ms) => ms) =>
    recent.map(([time, open, high, low, close, volume]) => ({ [name]: as(time), open, high, low, close, volume }) as unknown as CandleInput)
  for (const name of ['time', 'timestamp', 'openTime', 'open_time', 'date', 'datetime', 'ts', 't', 'start', 'startTime', 'Date']) {
    for (const as of [(ms: number) => ms, (ms: number) => new Date(ms), (ms: number) => new Date(ms).toISOString()]) {
      expect(await loop.predict({ symbol: 'BTCUSDT', candles: named(name, as) })).toEqual(known)
      expect(await loop.predictor('BTCUSDT').predict(named(name, as))).toEqual(opinion)
    }
  }
  const both = recent.map((row) => ({ ...object(row), time: row[0], timestamp: row[0] }))
  expect(await loop.predict({ symbol: 'BTCUSDT', candles: both })).toEqual(known)
  const differing = recent.map((row) => ({ ...object(row), time: row[0], timestamp: row[0] + HOUR }))
  const vwap = recent.map(([time, open, high, low, close, volume]) => [time, open, high, low, close, (high + low) / 2, volume, 7])
  const wrong: [unknown, RegExp][] = [
    [named('when'), /candle 0: it has no `time`, and its `when` looks like one/],
    [named('bar', (ms) => new Date(ms)), /its `bar` looks like one/],
    [named('bar', (ms) => new Date(ms).toISOString()), /its `bar` looks like one/],
    [differing, /its `time` and its `timestamp` differ/],
    [vwap, /it has 8 values, of which it is not known which is the volume/],
  ]
  for (const [given, message] of wrong) {
    const error = await failure(() => loop.predict({ symbol: 'BTCUSDT', candles: given as CandleInput[] }))
    expect([error.code, error.message]).toEqual(['ERR_INVALID_CANDLE', expect.stringMatching(message)])
    expect(await loop.predictor('BTCUSDT').predict(given as CandleInput[])).toMatchObject({ success: false, error: expect.stringMatching(message) })
  }
})

test('a market without volume is trained without its features, and says so', async () => {
  let hasVolume = false
  const silent = newLoop({
    fetchCandles: async ({ since, until }) => {
      const asked = rows.filter(([time]) => time >= since && time < until)
      return asked.map(([time, open, high, low, close, volume]) => ({ date: new Date(time), open, high, low, close, volume: hasVolume ? volume : 0 }))
    },
  })
  silent.configure({ trees: 10, historyDays: 30 })
  const { results } = await silent.train({ mode: 'symbol', symbols: ['EURUSD'], timeframes: ['1h'] })
  const without = ['volume_ratio_20', 'volume_z_50', 'on_balance_20', 'money_flow_14']
  expect(results[0]).toMatchObject({ success: true, warning: expect.stringContaining(`the candles have no volume: trained without ${without.join(', ')}`) })
  const [entry] = await silent.models()
  expect(entry!.model).toMatchObject({ leftOut: without })
  expect(entry!.model!.importances.map(({ feature }) => feature).filter((name) => without.includes(name))).toEqual([])
  expect((await silent.predict({ symbol: 'EURUSD' })).reason).not.toBe('NO_FEATURES')

  // Such a model is not continued once there is volume; and one that needs it gives way once there is none.
  const again = async (mode: 'all' | 'incremental', volume: boolean) => {
    hasVolume = volume
    rmSync(join(silent.home, 'data'), { recursive: true })
    const done = await silent.train({ mode, symbols: ['EURUSD'], timeframes: ['1h'] })
    return done.results[0]!
  }
  expect(await again('incremental', true)).toMatchObject({ success: true, trial: { fallback: expect.stringContaining('the candles have volume now') } })
  rmSync(join(silent.home, 'models'), { recursive: true })
  expect((await again('all', true)).model!.leftOut).toEqual([])
  expect((await again('incremental', false)).trial).toMatchObject({ fallback: expect.stringContaining('no volume now'), decision: 'CHAMPION_UNUSABLE' })
  expect((await silent.predict({ symbol: 'EURUSD' })).reason).not.toBe('NO_FEATURES')
  // What learned from volume has nothing to say where there is none.
  const lacking = recent.map(([time, open, high, low, close]): Row => [time, open, high, low, close, 0])
  expect(await loop.predict({ symbol: 'BTCUSDT', candles: lacking })).toMatchObject({ signal: 'HOLD', reason: 'NO_FEATURES' })
})

test('prices that never move give no features, and a HOLD that says so', async () => {
  const flat = recent.map(([time]): Row => [time, 5, 5, 5, 5, 1])
  expect(await loop.predict({ symbol: 'BTCUSDT', candles: flat })).toMatchObject({ signal: 'HOLD', reason: 'NO_FEATURES' })
})

describe('MLPredictor', () => {
  const none = (error: unknown) => ({
    success: false,
    signalType: 'HOLD',
    confidence: 0,
    mlPrediction: { signal: 'HOLD', confidence: 0, probabilities: { SELL: 0, HOLD: 0, BUY: 0 } },
    aiRationale: expect.stringMatching(/.{10}/),
    error,
  })

  test('has the whole shape, and no opinion, without skill', async () => {
    const predictor = loop.predictor('BTCUSDT', '1h')
    expect(predictor.isModelAvailable()).toBe(true)
    expect(await predictor.predict(recent)).toEqual({ ...none(expect.stringMatching(/no better than the base rate/)), reason: 'NO_SKILL' })
    // The prediction itself says the base rates, as ever.
    const prediction = await loop.predict({ symbol: 'BTCUSDT', candles: recent })
    expect(prediction.probabilities).toEqual(prediction.baseRates)
  })

  test('has no opinion of prices that never move', async () => {
    const flat = recent.map(([time]): Row => [time, 5, 5, 5, 5, 1])
    expect(await loop.predictor().predict(flat)).toEqual({ ...none(expect.stringContaining('no features')), reason: 'NO_FEATURES' })
  })

  test.each<[string, string, unknown, RegExp]>([
    ['too few candles', 'BTCUSDT', rows.slice(-99), /99 candles/],
    ['no model', 'ETHUSDT', recent, /no model for ETHUSDT 1h/],
    ['a wrong candle', 'BTCUSDT', recent.map((row, i) => (i === 5 ? { ...object(row), close: NaN } : row)), /candle 5.*close.*NaN/],
    ['no candles', 'BTCUSDT', undefined, /candles/],
  ])('has the whole shape with %s', async (_name, symbol, given, said) => {
    const result = await loop.predictor(symbol).predict(given as CandleInput[])
    expect(result).toEqual(none(expect.stringMatching(said)))
  })

  test('sees a model trained after it was made', async () => {
    const later = newLoop()
    const predictor = later.predictor('BTC/USDT')
    expect(predictor.isModelAvailable()).toBe(false)
    storeCandles(later.home, rows)
    await later.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })
    expect(predictor.isModelAvailable()).toBe(true)
    expect((await predictor.predict(recent)).reason).toBe('NO_SKILL')
  })
})

describe('generateSignal', () => {
  test('makes a signal that recordSignal takes', async () => {
    const signal = await loop.generateSignal({ symbol: 'BTCUSDT', riskTolerance: 'low' })
    expect(signal).toMatchObject({ pair: 'BTCUSDT', timeframe: '1h', entryPrice: rows.at(-1)![4] })
    expect(signal.mlPrediction.signal).toBe(signal.signalType)
    expect(await loop.feedbackTracker.recordSignal(signal)).toBe(true)
    expect((await loop.generateSignal({ symbol: 'BTCUSDT' })).id).not.toBe(signal.id)
  })

  test('says that levels other than those of the model were not measured', async () => {
    for (const [riskTolerance, scale] of [['low', 2 / 3], ['high', 4 / 3]] as const) {
      const { mlPrediction } = await loop.generateSignal({ symbol: 'BTCUSDT', riskTolerance })
      expect([mlPrediction.levelsScale, mlPrediction.breakEven]).toEqual([scale, undefined])
    }
    const { mlPrediction } = await loop.generateSignal({ symbol: 'BTCUSDT', riskTolerance: 'medium' })
    expect([mlPrediction.levelsScale, mlPrediction.breakEven]).toEqual([undefined, expect.any(Number)])
  })

  test('is a HOLD with its reason when the candles are out of date and the exchange is away', async () => {
    const offline = newLoop()
    storeCandles(offline.home, candles(600, { end: Math.floor(Date.now() / HOUR - 10) * HOUR }))
    await offline.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })
    const signal = await offline.generateSignal({ symbol: 'BTCUSDT' })
    expect(signal).toMatchObject({ signalType: 'HOLD', mlPrediction: { signal: 'HOLD', reason: 'STALE_CANDLES', stale: true } })
    expect(signal).not.toHaveProperty('stopLoss')
    expect(signal).not.toHaveProperty('expiresAt')
    expect(signal.warning).toContain('cannot reach the exchange')
    expect(signal.aiRationale).toContain('out of date')
  })

  test('rejects without a model', async () => {
    const empty = newLoop()
    storeCandles(empty.home, rows)
    expect((await failure(() => empty.generateSignal({ symbol: 'BTCUSDT' }))).code).toBe('ERR_NO_MODEL')
  })
})

describe('fetchCandles', () => {
  const BTC = { symbols: ['BTCUSDT'], timeframes: ['1h'] } as const
  const history = candles(2300)
  const page = ({ since, until, limit }: CandleRequest) => history.filter(([time]) => time >= since && time < until).slice(0, limit)

  test('is asked page by page for what is missing, and its candles are stored', async () => {
    const asked: CandleRequest[] = []
    const fetchCandles = async (request: CandleRequest) => {
      asked.push(request)
      return page(request)
    }
    const own = newLoop({ fetchCandles })
    own.configure({ historyDays: 60 })
    const [result] = await own.fetchData(BTC)
    expect(result).toMatchObject({ symbol: 'BTCUSDT', timeframe: '1h', success: true })
    expect(result!.until).toBe(new Date(history.at(-1)![0]).toISOString())
    expect(asked[0]).toEqual({ symbol: 'BTCUSDT', timeframe: '1h', since: expect.any(Number), until: expect.any(Number), limit: 1000 })
    // The newest page first, then what is older, back to the configured day.
    expect(Math.abs(asked[0]!.since - (Date.now() - 1001 * HOUR))).toBeLessThan(60_000)
    expect(asked.map(({ until }) => until).slice(1)).toEqual([history.at(-1000)![0]])
    expect(Math.abs(asked[1]!.since - (Date.now() - 60 * 24 * HOUR))).toBeLessThan(60_000)
    expect(asked[0]!.until).toBeLessThanOrEqual(Date.now())
    const stored = readFileSync(join(own.home, 'data', 'btcusdt_1h.csv'), 'utf8').trim().split('\n')
    expect(stored[0]).toBe('timestamp,open,high,low,close,volume')
    expect(stored).toHaveLength(1 + result!.total!)
    const [time, open] = history.at(-1)!
    expect(stored.at(-1)!.startsWith(`${new Date(time).toISOString().slice(0, 19).replace('T', ' ')},${open}`)).toBe(true)
    // 60 days less the candle still open: a page of 1000, and the rest.
    expect(result!.total).toBe(1439)

    const before = asked.length
    const [again] = await own.fetchData(BTC)
    expect(again).toMatchObject({ success: true, added: 0 })
    expect(asked).toHaveLength(before)
  })

  test('that answers the newest first is asked no more often', async () => {
    const asked: number[] = []
    const own = newLoop({
      fetchCandles: async (request) => {
        asked.push(request.since)
        return page({ ...request, limit: Infinity }).toReversed()
      },
    })
    own.configure({ historyDays: 30 })
    const [result] = await own.fetchData({ symbols: ['BTCUSDT', 'BTC/USDT'], timeframes: ['1h', '1h'] })
    expect(result).toMatchObject({ success: true, total: 719 })
    expect(asked).toHaveLength(1)
    expect(result!.findings).toEqual([expect.objectContaining({ cause: 'disorder', count: 718 })])
  })

  test.each(['date', 'datetime', 'ts', 'start', 't'])('may call the open time %s', async (name) => {
    const own = newLoop({ fetchCandles: async (request) => page(request).map((row) => ({ ...bare(row), [name]: row[0] })) })
    expect(await own.fetchData(BTC)).toMatchObject([{ success: true, until: new Date(history.at(-1)![0]).toISOString() }])
    const stored = readFileSync(join(own.home, 'data', 'btcusdt_1h.csv'), 'utf8')
    const [time, open] = history.at(-7)!
    expect(stored).toContain(`\n${new Date(time).toISOString().slice(0, 19).replace('T', ' ')},${open}`)
  })

  test('may answer with dates, and at once', async () => {
    const own = newLoop({
      fetchCandles: ((request: CandleRequest) => page(request).map((row) => ({ ...object(row), time: new Date(row[0]) }))) as never,
    })
    expect(await own.fetchData(BTC)).toMatchObject([{ success: true, until: new Date(history.at(-1)![0]).toISOString() }])
  })

  test.each<[string, () => Promise<CandleInput[]>, string, RegExp]>([
    ['rejects', () => Promise.reject(new Error('my exchange is down')), 'ERR_EXCHANGE', /my exchange is down/],
    ['throws', () => { throw new Error('no such pair here') }, 'ERR_EXCHANGE', /no such pair here/],
    ['answers nothing', async () => undefined as never, 'ERR_(EXCHANGE|INVALID_ARGUMENT)', /fetchCandles/],
    ['answers with NaN', async () => [[Date.now() - 5 * HOUR, NaN, 1, 1, 1, 1]], 'ERR_INVALID_CANDLE', /open.*NaN/],
    ['answers without times', async () => history.map(bare), 'ERR_INVALID_CANDLE', /candle 0: `time` must be a Date.*got nothing/],
    ['answers with times of another name', async () => history.map((row) => ({ ...bare(row), when: row[0] })), 'ERR_INVALID_CANDLE', /its `when` looks like one/],
    ['answers with a mean price before the volume', async () => history.map(([time, o, h, l, c, v]) => [time, o, h, l, c, (h + l) / 2, v, 7]) as never, 'ERR_INVALID_CANDLE', /8 values/],
    ['answers in seconds', async () => [[1_757_764_800, 1, 1, 1, 1, 1]], 'ERR_INVALID_CANDLE', /time.*1757764800/],
    ['has no candles', async () => [], 'ERR_NO_DATA', /no closed candles/],
  ])('that %s fails its market with its words', async (_name, fetchCandles, code, said) => {
    const own = newLoop({ fetchCandles })
    const [result] = await own.fetchData(BTC)
    expect(result).toMatchObject({ success: false, error: { code: expect.stringMatching(new RegExp(`^${code}$`)), message: expect.stringMatching(said) } })
  })
})
