// All forms of a signal: plain objects and classes, decimals and times of other libraries, open or closed.

import dayjs from 'dayjs'
import Decimal from 'decimal.js'
import { DateTime } from 'luxon'
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SignalInput } from '..'
import { failure, newLoop, records } from './helpers/home'

const DAY = 86_400_000
const T0 = Date.parse('2024-03-04T09:30:00.000Z')
const any = (value: unknown) => value as any

const plain = (changes: object = {}): SignalInput => ({
  id: 'a',
  pair: 'BTC/USDT',
  timeframe: '4h',
  signalType: 'BUY',
  confidence: 70,
  entryPrice: 100,
  stopLoss: 95,
  takeProfit: 110,
  timestamp: T0,
  expiresAt: T0 + 365 * DAY,
  indicators: { rsi: 71.5, macd: { histogram: -0.5 }, regime: 'bull', late: true },
  note: { seen: '2024-03-04T09:30:00.000Z' },
  ...changes,
})

/** What is stored of a signal, however it was given. */
const stored = async (signal: unknown, many = false) => {
  const { feedbackTracker, home } = newLoop()
  if (many) expect(await feedbackTracker.recordSignals([any(signal)])).toBe(1)
  else expect(await feedbackTracker.recordSignal(any(signal))).toBe(true)
  return records(home).get('a')
}

/** As an ORM or a class-transformer makes it: fields of its own, some behind getters. */
class Entity {
  readonly #levels: { stop: unknown; target: unknown }
  constructor(given: Record<string, any>) {
    const { stopLoss, takeProfit, ...rest } = given
    this.#levels = { stop: stopLoss, target: takeProfit }
    Object.assign(this, rest)
  }
  get stopLoss() {
    return this.#levels.stop
  }
  get takeProfit() {
    return this.#levels.target
  }
}

/** As a document of Mongoose: what it is, `toJSON` says; the rest is machinery. */
class Document {
  readonly $__ = { activePaths: {}, wasPopulated: false }
  readonly $isNew = false
  constructor(readonly _doc: Record<string, any>) {}
  toJSON() {
    return this._doc
  }
}

/** One that shows other levels than it tells. */
class Draft extends Document {
  readonly signalType = 'SELL'
  readonly entryPrice = 1
  readonly stopLoss = 2
  readonly takeProfit = 0.5
}

/** As BSON's Decimal128, by MongoDB's extended JSON. */
class Decimal128 {
  constructor(readonly bytes: Uint8Array, readonly text: string) {}
  toJSON() {
    return { $numberDecimal: this.text }
  }
}
const decimal128 = (text: string) => new Decimal128(new Uint8Array(16), text)

/** As the id of a document. */
class ObjectId {
  constructor(readonly hex: string) {}
  toJSON() {
    return this.hex
  }
}

const prices = (price: (digits: string) => unknown) => ({
  entryPrice: price('100'),
  stopLoss: price('95'),
  takeProfit: price('110'),
  confidence: price('70'),
})
const forms: [string, object][] = [
  ['numbers', {}],
  ['decimals, as Prisma has them', { ...prices((digits) => new Decimal(digits)), indicators: { ...any(plain()).indicators, rsi: new Decimal('71.5') } }],
  ['decimals of MongoDB', prices(decimal128)],
  ['whole numbers as BigInts', { ...prices((digits) => BigInt(digits)), timestamp: BigInt(T0) }],
  ['Dates', { timestamp: new Date(T0), expiresAt: new Date(T0 + 365 * DAY), note: { seen: new Date(T0) } }],
  ['dayjs', { timestamp: dayjs(T0), expiresAt: dayjs(T0 + 365 * DAY), note: { seen: dayjs(T0) } }],
  ['luxon', { timestamp: DateTime.fromMillis(T0, { zone: 'Asia/Tokyo' }), expiresAt: DateTime.fromMillis(T0 + 365 * DAY) }],
  ['an id that is an object', { id: new ObjectId('a') }],
  ['snake_case', { entryPrice: undefined, entry_price: new Decimal(100) }],
]

describe.each(forms)('a signal of %s', (_name, changes) => {
  const { rsi, ...others } = any(plain()).indicators
  const expected = { entry_price: 100, stop_loss: 95, take_profit: 110, confidence: 70, timestamp: '2024-03-04T09:30:00.000Z' }
  const shapes: [string, (given: object) => unknown][] = [
    ['a plain object', (given) => given],
    ['an object without a prototype', (given) => Object.assign(Object.create(null), given)],
    ['an entity', (given) => new Entity(given)],
    ['a document', (given) => new Document(given)],
    ['a document with fields of its own', (given) => new Draft(given)],
    ['an object that inherits', (given) => Object.create(given)],
  ]
  test.each(shapes)('is the same record as %s', async (_shape, make) => {
    const record = await stored(plain(changes))
    expect(record).toMatchObject({ ...expected, expires_at: '2025-03-04T09:30:00.000Z', indicators: others })
    expect(Number(any(record).indicators.rsi)).toBe(rsi)
    // What is inherited counts where it means something; a note does not.
    const inherits = _shape === 'an object that inherits'
    const { crc, ...fields } = any(record)
    const same = inherits ? { ...fields, note: undefined } : fields
    for (const many of [false, true]) {
      const { crc: _, ...got } = any(await stored(make(plain(changes)), many))
      expect(inherits ? { ...got, note: undefined } : got).toEqual(same)
    }
  })

  test.each(shapes)('is assessed and closed as the same, as %s', async (_shape, make) => {
    const { feedbackTracker } = newLoop()
    const signal = () => any(make(plain({ ...changes, expiresAt: undefined })))
    expect(feedbackTracker.shouldCloseSignal(signal(), 95)).toEqual({ shouldClose: true, outcome: 'STOPPED_OUT', profitLoss: -5 })
    expect(feedbackTracker.shouldCloseSignal(signal(), 109)).toMatchObject({ shouldClose: false, profitLoss: 9 })
    expect(await feedbackTracker.assess(signal())).toEqual(await feedbackTracker.assess(plain({ expiresAt: undefined })))
  })
})

test.each([
  ['an invalid Date', { expiresAt: new Date(NaN) }, 'expiresAt', 'Invalid Date'],
  ['an invalid dayjs', { expiresAt: dayjs('soon') }, 'expiresAt', 'Invalid Date'],
  ['an invalid DateTime', { expiresAt: DateTime.invalid('soon') }, 'expiresAt', 'Invalid DateTime'],
  ['a decimal that is no number', { stopLoss: new Decimal(NaN) }, 'stopLoss', 'NaN'],
  ['a stop that is a function', { stopLoss: () => 95 }, 'stopLoss', 'function'],
  ['a stop that is a price tag', { stopLoss: { toJSON: (): string => '95 USDT' } }, 'stopLoss', '95 USDT'],
  ['an id that is a function', { id: () => 'a' }, 'id', 'function'],
  ['an id that is NaN', { id: NaN }, 'id', 'NaN'],
  ['indicators that are a text', { indicators: 'bull' }, 'indicators', 'bull'],
])('%s is refused by name, and never taken for nothing', async (_name, changes, field, shown) => {
  const { feedbackTracker } = newLoop()
  for (const make of [(given: object) => given, (given: object) => new Entity(given), (given: object) => new Document(given)]) {
    for (const work of [
      () => feedbackTracker.recordSignal(any(make(plain(changes)))),
      () => feedbackTracker.recordSignals([plain({ id: 'b' }), any(make(plain(changes)))]),
    ]) {
      const error = await failure(work)
      expect([error.code, error.message]).toEqual(['ERR_INVALID_SIGNAL', expect.stringContaining(`\`${field}\``)])
      expect(error.message).toContain(shown)
    }
  }
  expect((await feedbackTracker.getStats()).overall.totalSignals).toBe(0)
})

test('what a getter or toJSON throws is the reason of the refusal', async () => {
  const { feedbackTracker } = newLoop()
  const thrown = () => {
    throw new Error('not loaded')
  }
  for (const signal of [{ toJSON: thrown }, Object.defineProperty(plain(), 'stopLoss', { get: thrown, enumerable: true })]) {
    for (const work of [
      () => feedbackTracker.recordSignal(any(signal)),
      () => feedbackTracker.recordSignals([any(signal)]),
      () => feedbackTracker.assess(any(signal)),
      () => feedbackTracker.shouldCloseSignal(any(signal), 1),
    ]) {
      expect(await failure(work)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('not loaded') })
    }
  }
  const cyclic: Record<string, unknown> = { ...plain() }
  cyclic.indicators = { self: cyclic }
  expect(await failure(() => feedbackTracker.recordSignal(any(cyclic)))).toMatchObject({ message: expect.stringContaining('contain itself') })
})

test('all indicators are kept: texts, booleans, numbers as text, Maps, and more than a hundred of them', async () => {
  const many = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`i${i}`, i]))
  const indicators = { regime: 'bull', strategy: 'breakout-v2', late: true, atr: '1.50', rank: 9_007_199_254_740_993n, ...many }
  const expected = { ...indicators, rank: '9007199254740993' }
  expect(any(await stored(plain({ indicators }))).indicators).toEqual(expected)
  expect(any(await stored(new Entity(plain({ indicators })))).indicators).toEqual(expected)
  expect(any(await stored(plain({ indicators: new Map(Object.entries(indicators)) }))).indicators).toEqual(expected)
})

test.each([
  [{ entryPrice: 100, entry_price: 101 }, 'entryPrice', '100 as `entryPrice`', '101 as `entry_price`'],
  [{ pair: 'BTC/USDT', symbol: 'ETHUSDT' }, 'symbol', '`pair`', '`symbol`'],
  [{ id: 'a', signal_id: 'b' }, 'id', '"a" as `id`', '"b" as `signal_id`'],
  [{ id: 'a', signalId: 'b' }, 'id', '`signalId`'],
  [{ signalType: 'BUY', signal_type: 'SELL' }, 'signalType', '`signal_type`'],
  [{ stopLoss: 95, stop_loss: 94 }, 'stopLoss', '`stop_loss`'],
  [{ takeProfit: 110, take_profit: 111 }, 'takeProfit', '`take_profit`'],
  [{ expiresAt: T0 + DAY, expires_at: T0 + 2 * DAY }, 'expiresAt', '`expires_at`'],
])('%j contradicts itself', async (changes, field, ...said) => {
  const { feedbackTracker } = newLoop()
  const calls = [() => feedbackTracker.recordSignal(plain(changes)), () => feedbackTracker.recordSignals([plain(changes)]), () => feedbackTracker.assess(any(plain(changes)))]
  if (!['symbol', 'id'].includes(field)) calls.push(async () => any(feedbackTracker.shouldCloseSignal(plain({ expiresAt: undefined, ...changes }), 100)))
  for (const work of calls) {
    const error = await failure(work)
    expect([error.code, error.message]).toEqual(['ERR_INVALID_SIGNAL', expect.stringContaining(`\`${field}\``)])
    for (const text of said) expect(error.message).toContain(text)
  }
})

test('the same under two names is one thing', async () => {
  const twice = plain({ symbol: 'btcusdt', signal_id: 'a', entry_price: 100, stop_loss: new Decimal(95), expires_at: new Date(T0 + 365 * DAY) })
  expect(await stored(twice)).toEqual(await stored(plain()))
})

const end = { outcome: 'TOOK_PROFIT', exitPrice: 110.5, closedAt: new Date(T0 + DAY) }

describe('a signal that comes with its end', () => {
  const bad = { outcome: 'STOPPED_OUT', exitPrice: 94.5, profitLossPercent: -5.6, closedAt: T0 + 2 * DAY }

  test('is recorded closed, alone, among many and from a file', async () => {
    const { feedbackTracker, home } = newLoop()
    expect(await feedbackTracker.recordSignal(plain(end))).toBe(true)
    expect(await feedbackTracker.recordSignals([plain({ id: 'b', ...bad }), plain({ id: 'open' })])).toBe(2)
    const { pair, entryPrice, signalType, ...rest } = plain({ id: 'c', expiresAt: undefined }) as Record<string, unknown>
    const snake = { ...rest, symbol: pair, entry_price: entryPrice, signal_type: signalType, outcome: 'FAILURE', exit_price: 99, closed_at: '2024-03-05T09:30Z' }
    const wrong = { ...snake, id: 'd', signal_type: 'BUY', profit_loss_percent: -400 }
    writeFileSync(join(home, 'old.jsonl'), [snake, wrong].map((one) => JSON.stringify(one)).join('\n'))
    const report = await feedbackTracker.importSignals(join(home, 'old.jsonl'))
    expect(report).toMatchObject({ imported: 1, refused: [{ line: 2, reason: expect.stringContaining('leverage') }] })
    const log = records(home)
    expect(log.get('a')).toMatchObject({ outcome: 'TOOK_PROFIT', exit_price: 110.5, profit_loss_percent: 10.5, closed_at: '2024-03-05T09:30:00.000Z' })
    expect(log.get('b')).toMatchObject({ outcome: 'STOPPED_OUT', exit_price: 94.5, profit_loss_percent: -5.6, closed_at: '2024-03-06T09:30:00.000Z' })
    expect(log.get('c')).toMatchObject({ outcome: 'FAILURE', exit_price: 99, profit_loss_percent: -1, closed_at: '2024-03-05T09:30:00.000Z' })
    expect(log.get('open')).toMatchObject({ outcome: 'ACTIVE' })
    const { overall } = await feedbackTracker.getStats(undefined, undefined, 36_500)
    expect(overall).toMatchObject({ totalSignals: 4, closedSignals: 3, activeSignals: 1, tookProfit: 1, stoppedOut: 1, failedSignals: 2 })
    // No price closes it again, and no word.
    expect((await feedbackTracker.onPrice('BTCUSDT', 90)).map(({ id }) => id)).toEqual(['open'])
    expect(await feedbackTracker.updateOutcome({ signalId: 'a', outcome: 'STOPPED_OUT', exitPrice: 95 })).toBe(false)
  })

  test('is recorded once, and closes what was recorded open', async () => {
    const { feedbackTracker, home } = newLoop()
    await feedbackTracker.recordSignal(plain())
    expect(await feedbackTracker.recordSignal(plain(end))).toBe(true)
    expect(await feedbackTracker.recordSignal(plain(end))).toBe(true)
    expect(await feedbackTracker.recordSignal(plain())).toBe(true)
    expect(records(home).get('a')).toMatchObject({ outcome: 'TOOK_PROFIT', exit_price: 110.5 })
    expect((await feedbackTracker.getStats(undefined, undefined, 36_500)).overall).toMatchObject({ totalSignals: 1, closedSignals: 1 })
    for (const [change, field] of [
      [{ exitPrice: 111 }, 'exitPrice'],
      [{ closedAt: T0 + 2 * DAY }, 'closedAt'],
      [{ outcome: 'SUCCESS' }, 'outcome'],
      [{ profitLossPercent: 10 }, 'profitLossPercent'],
    ] as const) {
      const error = await failure(() => feedbackTracker.recordSignal(plain({ ...end, ...change })))
      expect([error.code, error.message]).toEqual(['ERR_SIGNAL_CONFLICT', expect.stringContaining(`another ${field}`)])
    }
  })

  test('teaches like any other', async () => {
    const { feedbackTracker } = newLoop()
    const closed = Array.from({ length: 60 }, (_, i) => plain({ id: `${i}`, timestamp: T0 + i * DAY, expiresAt: undefined, ...end, closedAt: T0 + i * DAY + DAY / 2 }))
    await feedbackTracker.recordSignals(closed)
    const { closed: learned, effectiveSampleSize, unusedIndicators } = await feedbackTracker.assess(plain({ timestamp: Date.now(), expiresAt: undefined, indicators: { ...any(plain()).indicators, adx: 20 } }))
    expect(learned).toBe(60)
    // One after the other, each in its own day, though neighbours share their fate: not sixty that were open until today.
    expect(effectiveSampleSize).toBeGreaterThan(30)
    // No closed signal has `adx`; texts are learned from like numbers.
    expect(unusedIndicators).toEqual(['adx'])
  })

  test.each([
    ['without its time', { closedAt: undefined }, 'closedAt', 'nothing'],
    ['before its begin', { closedAt: T0 - 1 }, 'closedAt', '2024-03-04T09:29:59.999Z', '2024-03-04T09:30:00.000Z'],
    ['in the future', { closedAt: '9998-01-01T00:00:00Z' }, 'closedAt', '9998-01-01', new Date().toISOString().slice(0, 10)],
    ['of an unknown kind', { outcome: 'WON' }, 'outcome', 'WON'],
    ['of no kind', { outcome: null }, 'outcome', 'nothing'],
    ['that is none', { outcome: 'ACTIVE' }, 'outcome', 'ACTIVE'],
    ['of another kind than its status', { status: 'STOPPED_OUT' }, 'outcome', 'status'],
    ['that is a success at a loss', { outcome: 'SUCCESS', exitPrice: 99 }, 'exitPrice', '99'],
    ['without price and profit', { outcome: 'SUCCESS', exitPrice: null }, 'outcome', 'profitLossPercent'],
    ['of a HOLD', { signalType: 'HOLD' }, 'outcome', 'HOLD'],
    ['with the profit of a margin', { outcome: 'STOPPED_OUT', exitPrice: 98, profitLossPercent: -400 }, 'profitLossPercent', '-400', '98', 'leverage'],
    ['that lost more than all', { outcome: 'STOPPED_OUT', exitPrice: null, profitLossPercent: -400 }, 'profitLossPercent', '-100', 'leverage'],
    ['at a price of 0', { exitPrice: 0 }, 'exitPrice', '0'],
  ])('%s is refused by name', async (_name, changes, field, ...said) => {
    const { feedbackTracker } = newLoop()
    const signal = plain({ ...end, ...changes })
    for (const work of [() => feedbackTracker.recordSignal(signal), () => feedbackTracker.recordSignals([plain({ id: 'b' }), signal])]) {
      const error = await failure(work)
      expect([error.code, error.message]).toEqual(['ERR_INVALID_SIGNAL', expect.stringContaining(`\`${field}\``)])
      for (const text of said) expect(error.message).toContain(text)
    }
    expect((await feedbackTracker.getStats()).overall.totalSignals).toBe(0)
  })
})

describe('updateOutcome', () => {
  test('says when it closed, in either spelling, with decimals and times of other libraries', async () => {
    const { feedbackTracker, home } = newLoop()
    await feedbackTracker.recordSignals(['a', 'b', 'c', 'd'].map((id) => plain({ id })))
    expect(await feedbackTracker.updateOutcome({ signalId: 'a', outcome: 'TOOK_PROFIT', exitPrice: 110, closedAt: new Date(T0 + DAY) })).toBe(true)
    const snake = { signal_id: 'b', outcome: 'FAILURE', exit_price: new Decimal('99.5'), profit_loss_percent: -0.6, closed_at: dayjs(T0 + 2 * DAY) }
    expect(await feedbackTracker.updateOutcome(any(snake))).toBe(true)
    expect(await feedbackTracker.updateOutcome({ signalId: 'c', outcome: 'STOPPED_OUT', closedAt: '2024-03-05 09:30' })).toBe(true)
    const before = Date.now()
    expect(await feedbackTracker.updateOutcome({ signalId: 'd', outcome: 'SUCCESS', profitLossPercent: 1, closedAt: null })).toBe(true)
    const log = records(home)
    expect(log.get('a')).toMatchObject({ closed_at: '2024-03-05T09:30:00.000Z', exit_price: 110, profit_loss_percent: 10 })
    expect(log.get('b')).toMatchObject({ closed_at: '2024-03-06T09:30:00.000Z', exit_price: 99.5, profit_loss_percent: -0.6 })
    expect(log.get('c')).toMatchObject({ closed_at: '2024-03-05T09:30:00.000Z', profit_loss_percent: -5 })
    expect(Date.parse(any(log.get('d')).closed_at)).toBeGreaterThanOrEqual(before)
  })

  test.each([
    ['before the signal', { outcome: 'TOOK_PROFIT', closedAt: T0 - 1 }, 'closedAt', '2024-03-04T09:29:59.999Z', '2024-03-04T09:30:00.000Z'],
    ['in the future', { outcome: 'TOOK_PROFIT', closedAt: Date.now() + DAY }, 'closedAt', 'future', new Date().toISOString().slice(0, 10)],
    ['at no time', { outcome: 'TOOK_PROFIT', closedAt: 'soon' }, 'closedAt', 'soon'],
    ['at two times', { outcome: 'TOOK_PROFIT', closedAt: T0, closed_at: T0 + 1 }, 'closedAt', '`closed_at`'],
    ['a success without price and profit', { outcome: 'SUCCESS' }, 'outcome', '`exitPrice`', '`profitLossPercent`'],
    ['a failure without price and profit', { outcome: 'FAILURE' }, 'outcome', '`exitPrice`', '`profitLossPercent`'],
    ['the profit of a margin', { outcome: 'STOPPED_OUT', exitPrice: 98, profitLossPercent: -400 }, 'profitLossPercent', '-400', '98', 'leverage'],
    ['more than all lost', { outcome: 'STOPPED_OUT', profitLossPercent: -400 }, 'profitLossPercent', 'leverage'],
    ['a misspelt key', { outcome: 'SUCCESS', exitPrise: 101 }, 'update', 'exitPrise'],
    ['two prices', { outcome: 'SUCCESS', exitPrice: 101, exit_price: 102 }, 'exitPrice', '101', '102'],
  ])('refuses %s', async (_name, update, argument, ...said) => {
    const { feedbackTracker, home } = newLoop()
    await feedbackTracker.recordSignal(plain())
    const error = await failure(() => feedbackTracker.updateOutcome(any({ signalId: 'a', ...update })))
    expect([error.code, error.message]).toEqual(['ERR_INVALID_ARGUMENT', expect.stringContaining(`\`${argument}\``)])
    for (const text of said) expect(error.message).toContain(text)
    expect(records(home).get('a')).toMatchObject({ outcome: 'ACTIVE' })
  })

  test('a log of today that holds a success without price and profit is still read', async () => {
    const { feedbackTracker, home } = newLoop()
    await feedbackTracker.recordSignal(plain())
    const line = { signal_id: 'old', symbol: 'BTCUSDT', signal_type: 'BUY', entry_price: 100, timestamp: '2024-03-04T09:30:00Z', outcome: 'SUCCESS' }
    appendFileSync(join(home, 'feedback', 'signals.jsonl'), `${JSON.stringify(line)}\n`)
    const { overall } = await feedbackTracker.getStats(undefined, undefined, 36_500)
    expect(overall).toMatchObject({ closedSignals: 1, successfulSignals: 1, totalProfitLoss: 0 })
  })
})

test('prices and candles of the past close what was given then, in the order of time', async () => {
  const { feedbackTracker, home } = newLoop()
  await feedbackTracker.recordSignals([plain(), plain({ id: 'b', timestamp: T0 + DAY })])
  expect(await feedbackTracker.onPrice('BTCUSDT', 110, T0 - 1)).toEqual([])
  expect((await feedbackTracker.onPrice('BTCUSDT', 110, T0 + 1)).map(({ id, closedAt }) => [id, closedAt])).toEqual([['a', '2024-03-04T09:30:00.001Z']])
  expect((await feedbackTracker.onPrice('BTCUSDT', 94, T0 + 2 * DAY)).map(({ id }) => id)).toEqual(['b'])
  expect(records(home).get('b')).toMatchObject({ outcome: 'STOPPED_OUT', closed_at: '2024-03-06T09:30:00.000Z' })
})

test('the symbol of a token is its address', async () => {
  const { feedbackTracker, home } = newLoop()
  const address = '0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48'
  await feedbackTracker.recordSignals([plain({ pair: `${address}/USDT` }), plain({ id: 'b', pair: `${address}/${address}` })])
  expect(any(records(home).get('b')).symbol).toBe((address + address).toUpperCase())
  expect(await feedbackTracker.onPrice(`${address.toLowerCase()}-usdt`, 90)).toMatchObject([{ id: 'a' }])
  const error = await failure(() => feedbackTracker.recordSignal(plain({ pair: 'A'.repeat(129) })))
  expect([error.code, error.message]).toEqual(['ERR_INVALID_SIGNAL', expect.stringContaining('128')])
})
