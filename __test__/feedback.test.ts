import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LoopEvent, SignalInput } from '..'
import { HOUR, candles, storeCandles } from './helpers/candles'
import { failure, newHome, newLoop, records } from './helpers/home'

const NOW = Date.now()
const AGO = NOW - HOUR

const buy = (id: string, more: object = {}): SignalInput => ({
  id,
  pair: 'BTC/USDT',
  signalType: 'BUY',
  confidence: 70,
  entryPrice: 100,
  stopLoss: 98,
  takeProfit: 104,
  timestamp: new Date(AGO),
  ...more,
})

const sell = (id: string, more: object = {}): SignalInput =>
  buy(id, { signalType: 'SELL', stopLoss: 103, takeProfit: 95, ...more })

describe('shouldCloseSignal', () => {
  const { feedbackTracker } = newLoop()

  test.each([
    ['BUY between', buy('a'), 101, false, 'ACTIVE', 1],
    ['BUY at its stop', buy('a'), 98, true, 'STOPPED_OUT', -2],
    ['BUY beyond its stop', buy('a'), 90, true, 'STOPPED_OUT', -10],
    ['BUY at its target', buy('a'), 104, true, 'TOOK_PROFIT', 4],
    ['SELL between', sell('a'), 101, false, 'ACTIVE', -1],
    ['SELL at its stop', sell('a'), 103, true, 'STOPPED_OUT', -3],
    ['SELL at its target', sell('a'), 95, true, 'TOOK_PROFIT', 5],
    ['expired with a profit', buy('a', { expiresAt: NOW - 1 }), 101, true, 'SUCCESS', 1],
    ['expired without', buy('a', { expiresAt: NOW - 1 }), 100, true, 'FAILURE', 0],
    ['not expired yet', buy('a', { expiresAt: NOW + HOUR }), 101, false, 'ACTIVE', 1],
    ['HOLD', { signalType: 'HOLD' as const }, 50, false, 'ACTIVE', 0],
    ['without levels', { signalType: 'BUY' as const, entryPrice: 100 }, 1, false, 'ACTIVE', -99],
    ['in snake_case', { signal_type: 'SELL' as const, entry_price: 100, stop_loss: 103 }, 103, true, 'STOPPED_OUT', -3],
  ])('%s', (_name, signal, price, shouldClose, outcome, profitLoss) => {
    expect(feedbackTracker.shouldCloseSignal(signal, price)).toEqual({ shouldClose, outcome, profitLoss })
  })
})

test('prices close signals, and the statistics are those worked out by hand', async () => {
  const loop = newLoop()
  const { feedbackTracker } = loop
  await feedbackTracker.recordSignals([
    buy('win', { confidence: 80 }),
    buy('loss', { entryPrice: 110, stopLoss: 105, takeProfit: 130, confidence: 60 }),
    sell('sell-win', { entryPrice: 120, stopLoss: 125, takeProfit: 104, timeframe: '4h', confidence: 70 }),
    sell('sell-loss', { pair: 'ETHUSDT', entryPrice: 100, stopLoss: 103, takeProfit: 90, confidence: 50 }),
    buy('open', { pair: 'ETHUSDT', entryPrice: 100, stopLoss: 90, takeProfit: 130 }),
    buy('hold', { signalType: 'HOLD' }),
  ])
  const before = await feedbackTracker.getStats()
  expect(before.overall).toMatchObject({ totalSignals: 5, activeSignals: 5, closedSignals: 0, holdSignals: 1, successRate: 0 })

  // 104: the target of `win`, beyond the stop of `loss`, the target of `sell-win`.
  const closed = await feedbackTracker.onPrice('BTCUSDT', 104, NOW)
  expect(closed.map((one) => [one.id, one.outcome, one.exitPrice])).toEqual([
    ['win', 'TOOK_PROFIT', 104],
    ['loss', 'STOPPED_OUT', 104],
    ['sell-win', 'TOOK_PROFIT', 104],
  ])
  expect(closed[0]).toEqual({
    id: 'win',
    symbol: 'BTCUSDT',
    timeframe: '1h',
    signalType: 'BUY',
    taken: true,
    outcome: 'TOOK_PROFIT',
    entryPrice: 100,
    exitPrice: 104,
    profitLossPercent: 4,
    fills: [
      { kind: 'ENTRY', price: 100, share: 100, at: new Date(AGO).toISOString() },
      { kind: 'TARGET', price: 104, share: 100, at: new Date(NOW).toISOString() },
    ],
    // Costs of 10 basis points; the stop is 2 % away.
    netProfitPercent: 3.9,
    realizedR: 1.95,
    holdingMs: NOW - AGO,
    timestamp: new Date(AGO).toISOString(),
    closedAt: new Date(NOW).toISOString(),
  })
  expect(await feedbackTracker.onPrice('BTC/USDT', 104, NOW)).toEqual([])
  expect((await feedbackTracker.onPrice('ETH/USDT', 103, NOW)).map((one) => one.id)).toEqual(['sell-loss'])

  const [win, loss, sellWin, sellLoss] = [4, (-6 / 110) * 100, (16 / 120) * 100, -3] as const
  const { overall, bySymbol, byTimeframe } = await feedbackTracker.getStats()
  expect(overall).toMatchObject({
    totalSignals: 5,
    activeSignals: 1,
    closedSignals: 4,
    holdSignals: 1,
    successfulSignals: 2,
    failedSignals: 2,
    tookProfit: 2,
    stoppedOut: 2,
    successRate: 50,
    averageConfidence: 65,
  })
  const total = win + loss + sellWin + sellLoss
  expect(overall.totalProfitLoss).toBeCloseTo(total, 9)
  expect(overall.averageProfitLoss).toBeCloseTo(total / 4, 9)
  expect(overall.averageProfit).toBeCloseTo((win + sellWin) / 2, 9)
  expect(overall.averageLoss).toBeCloseTo((loss + sellLoss) / 2, 9)
  // Costs of 10 basis points, the default.
  expect(overall.expectancy).toBeCloseTo(total / 4 - 0.1, 9)
  expect(overall.profitFactor).toBeCloseTo((win + sellWin) / -(loss + sellLoss), 9)
  expect(overall.bestProfitLoss).toBeCloseTo(sellWin, 9)
  expect(overall.worstProfitLoss).toBeCloseTo(loss, 9)
  // Wilson's interval of 2 out of 4 at 95 %: 0.15 to 0.85.
  expect(overall.successInterval.low).toBeCloseTo(15.0, 1)
  expect(overall.successInterval.high).toBeCloseTo(85.0, 1)
  expect(Object.keys(bySymbol).sort()).toEqual(['BTCUSDT', 'ETHUSDT'])
  expect(bySymbol.ETHUSDT).toMatchObject({ totalSignals: 2, closedSignals: 1, successRate: 0 })
  expect(Object.keys(byTimeframe).sort()).toEqual(['1h', '4h'])
  expect(byTimeframe['4h']).toMatchObject({ totalSignals: 1, successRate: 100 })

  const narrow = await feedbackTracker.getStats('BTC/USDT', '1h', 1)
  expect(narrow.overall).toMatchObject({ totalSignals: 2, successRate: 50, holdSignals: 1 })
  expect((await feedbackTracker.getStats('DOGEUSDT')).overall.totalSignals).toBe(0)
})

test('what is followed and not traded is counted apart, and strategies are told apart', async () => {
  const { feedbackTracker } = newLoop()
  await feedbackTracker.recordSignals([
    buy('a', { strategy: 'breakout' }),
    buy('b', { strategy: 'breakout', stopLoss: 90 }),
    buy('c', { strategy: 'rsi', takeProfit: 103 }),
    buy('d', { strategy: 'rsi', taken: false }),
    buy('e', { taken: false, pair: 'ETHUSDT' }),
    buy('f', { taken: true }),
  ])
  expect((await feedbackTracker.onPrice('BTCUSDT', 103, NOW)).map(({ id }) => id)).toEqual(['c'])
  const closed = await feedbackTracker.onPrice('BTCUSDT', 98, NOW + 1)
  // Who closes positions by what is told here has none of `d`.
  expect(closed.map(({ id, strategy, taken }) => [id, strategy, taken])).toEqual([['a', 'breakout', true], ['d', 'rsi', false], ['f', undefined, true]])
  const { overall, bySymbol, byStrategy, followed } = await feedbackTracker.getStats()
  expect(overall).toMatchObject({ totalSignals: 4, activeSignals: 1, closedSignals: 3, successfulSignals: 1, totalProfitLoss: -1 })
  expect(followed).toMatchObject({ totalSignals: 2, activeSignals: 1, closedSignals: 1, failedSignals: 1, totalProfitLoss: -2 })
  expect(Object.keys(bySymbol)).toEqual(['BTCUSDT'])
  expect(Object.entries(byStrategy).map(([name, { closedSignals, activeSignals }]) => [name, closedSignals, activeSignals])).toEqual([
    ['breakout', 1, 1],
    ['rsi', 1, 0],
  ])
  // The seven figures are those of what was traded.
  expect(await feedbackTracker.getPerformanceStats()).toMatchObject({ total_signals: 4, closed_signals: 3, successful: 1, failed: 2 })
  // What was closed teaches, whether it was traded or not.
  expect((await feedbackTracker.assess(buy('x', { timestamp: NOW + 1 }))).closed).toBe(4)
  expect((await failure(() => feedbackTracker.recordSignal(buy('d', { strategy: 'rsi' })))).code).toBe('ERR_SIGNAL_CONFLICT')
  expect(await feedbackTracker.recordSignal(buy('d', { strategy: 'rsi', taken: false }))).toBe(true)
})

test('a clock that was set back by five minutes silences no stop, and prices that are ignored are told', async () => {
  const told: LoopEvent[] = []
  const { feedbackTracker } = newLoop({ onEvent: (event) => told.push(event) })
  const now = Date.now()
  // Given, and seen, before the clock was set back.
  const given = buy('back', { timestamp: now + 4 * 60_000, stopLoss: 90 })
  await feedbackTracker.recordSignals([given, buy('seen', { stopLoss: 60, takeProfit: 200 })])
  expect(feedbackTracker.shouldCloseSignal(given, 50)).toMatchObject({ shouldClose: true, outcome: 'STOPPED_OUT' })
  await feedbackTracker.onPrice('BTCUSDT', 100, now + 30_000)
  const closed = await feedbackTracker.onPrice('BTCUSDT', 80)
  expect(closed.map((one) => [one.id, one.outcome, one.closedAt])).toEqual([['back', 'STOPPED_OUT', new Date(now + 4 * 60_000).toISOString()]])
  expect((await feedbackTracker.onPrices(['BTCUSDT'], Float64Array.of(50))).map((one) => one.id)).toEqual(['seen'])

  await feedbackTracker.recordSignal(buy('late', { stopLoss: 90 }))
  expect(await feedbackTracker.onPrice('BTCUSDT', 50, now + 20_000)).toEqual([])
  expect(await feedbackTracker.onPrices(['BTC/USDT'], Float64Array.of(50), Float64Array.of(now + 25_000))).toEqual([])
  expect(await feedbackTracker.onPrice('BTCUSDT', 100, now + 31_000)).toEqual([])
  const newest = new Date(now + 30_000).toISOString()
  const ignored = (): LoopEvent[] => told.filter((event) => event.type === 'pricesIgnored')
  for (const begin = Date.now(); ignored().length < 2 && Date.now() - begin < 5_000; ) await new Promise((resolve) => setTimeout(resolve, 10))
  expect(ignored()).toEqual([
    { type: 'pricesIgnored', symbol: 'BTCUSDT', count: 1, over: false, time: new Date(now + 20_000).toISOString(), newest, at: expect.any(String) },
    { type: 'pricesIgnored', symbol: 'BTCUSDT', count: 2, over: true, time: new Date(now + 25_000).toISOString(), newest, at: expect.any(String) },
  ])
  expect((await feedbackTracker.getStats()).ignoredPrices).toBe(2)
  expect((await feedbackTracker.getStats('ETHUSDT')).ignoredPrices).toBe(0)
})

test('a first outcome stands, told by hand or by a price', async () => {
  const { feedbackTracker } = newLoop()
  await feedbackTracker.recordSignals([buy('hand'), buy('price'), buy('explicit'), buy('hold', { signalType: 'HOLD' })])
  expect(await feedbackTracker.updateOutcome({ signalId: 'nobody', outcome: 'SUCCESS' })).toBe(false)
  expect(await feedbackTracker.updateOutcome({ signalId: 'hold', outcome: 'SUCCESS' })).toBe(false)
  expect(await feedbackTracker.updateOutcome({ signalId: 'hand', outcome: 'STOPPED_OUT' })).toBe(true)
  expect(await feedbackTracker.updateOutcome({ signalId: 'hand', outcome: 'TOOK_PROFIT' })).toBe(false)
  const explicit = { signalId: 'explicit', outcome: 'FAILURE', exitPrice: 99, profitLossPercent: -1.5 } as const
  expect(await feedbackTracker.updateOutcome(explicit)).toBe(true)
  expect((await feedbackTracker.onPrice('BTCUSDT', 104)).map((one) => one.id)).toEqual(['price'])
  expect(await feedbackTracker.updateOutcome({ signalId: 'price', outcome: 'STOPPED_OUT' })).toBe(false)
  const { overall } = await feedbackTracker.getStats()
  expect(overall).toMatchObject({ closedSignals: 3, stoppedOut: 1, tookProfit: 1, failedSignals: 2, holdSignals: 1 })
  // The stop's −2 % by hand, +4 % by price, −1.5 % as told.
  expect(overall.totalProfitLoss).toBeCloseTo(0.5, 9)
})

test('a candle counts with its high and low, the stop first', async () => {
  const { feedbackTracker } = newLoop()
  const start = Math.floor(NOW / HOUR) * HOUR - 2 * HOUR
  await feedbackTracker.recordSignals([
    buy('both', { timestamp: start - HOUR }),
    buy('wide', { timestamp: start - HOUR, stopLoss: 80, takeProfit: 104.5 }),
    buy('wider', { timestamp: start - HOUR, stopLoss: 80, takeProfit: 120 }),
    sell('gap', { timestamp: start - HOUR, stopLoss: 100.5, takeProfit: 50 }),
  ])
  const closed = await feedbackTracker.onCandle('BTCUSDT', [start, 101, 105, 97, 102, 10])
  expect(closed.map((one) => [one.id, one.outcome, one.exitPrice])).toEqual([
    ['both', 'STOPPED_OUT', 98],
    ['wide', 'TOOK_PROFIT', 104.5],
    // It opened beyond the stop, and fills there.
    ['gap', 'STOPPED_OUT', 101],
  ])
  const object = { time: new Date(start + HOUR), open: 102, high: 121, low: 101, close: 103, volume: 1 }
  expect((await feedbackTracker.onCandle('BTCUSDT', object)).map((one) => one.id)).toEqual(['wider'])
})

test('an expired signal closes by the sign of its profit', async () => {
  const { feedbackTracker } = newLoop()
  const expiresAt = new Date(NOW + 1000).toISOString()
  await feedbackTracker.recordSignals([buy('up', { expiresAt }), sell('down', { expiresAt })])
  expect(await feedbackTracker.onPrice('BTCUSDT', 101, NOW)).toEqual([])
  const closed = await feedbackTracker.onPrice('BTCUSDT', 101, NOW + 1000)
  expect(closed.map((one) => [one.id, one.outcome])).toEqual([
    ['up', 'SUCCESS'],
    ['down', 'FAILURE'],
  ])
})

test('a price older than one already seen closes nothing', async () => {
  const { feedbackTracker } = newLoop()
  await feedbackTracker.recordSignal(buy('a'))
  expect(await feedbackTracker.onPrice('BTCUSDT', 101, NOW)).toEqual([])
  expect(await feedbackTracker.onPrice('BTCUSDT', 104, NOW - 1000)).toEqual([])
  expect(await feedbackTracker.onPrice('BTCUSDT', 104, NOW + 1)).toHaveLength(1)
})

test('of two spellings of a level the one that is not null counts, as when it is recorded', async () => {
  const { feedbackTracker } = newLoop()
  const both: SignalInput = buy('both', { stopLoss: null, stop_loss: 90 })
  expect(feedbackTracker.shouldCloseSignal(both, 95).shouldClose).toBe(false)
  expect(feedbackTracker.shouldCloseSignal({ ...both, stopLoss: 98, stop_loss: null }, 95).shouldClose).toBe(true)
  await feedbackTracker.recordSignal(both)
  expect(await feedbackTracker.onPrice('BTCUSDT', 95)).toEqual([])
  expect(await feedbackTracker.onPrice('BTCUSDT', 90)).toMatchObject([{ id: 'both', outcome: 'STOPPED_OUT' }])
})

test('half a surrogate pair in a note is no reason to refuse a signal, alone or among many', async () => {
  const { feedbackTracker } = newLoop()
  expect(await feedbackTracker.recordSignal(buy('a', { note: 'cut \ud83d' }))).toBe(true)
  expect(await feedbackTracker.recordSignals([buy('b', { note: 'cut \ud83d' }), buy('c')])).toBe(2)
})

test('a closing that contradicts itself is refused, and the signal stays open', async () => {
  const { feedbackTracker } = newLoop()
  await feedbackTracker.recordSignal(buy('a'))
  const wrong = [
    [{ outcome: 'SUCCESS', exitPrice: 90 }, 'exitPrice'],
    [{ outcome: 'SUCCESS', profitLossPercent: -200 }, 'profitLossPercent'],
    [{ outcome: 'FAILURE', exitPrice: 101 }, 'exitPrice'],
    [{ outcome: 'TOOK_PROFIT', profitLossPercent: -1 }, 'profitLossPercent'],
    [{ outcome: 'STOPPED_OUT', exitPrice: 99, profitLossPercent: 1 }, 'profitLossPercent'],
  ] as const
  for (const [said, named] of wrong) {
    const error = await failure(() => feedbackTracker.updateOutcome({ signalId: 'a', ...said }))
    expect([error.code, error.message.includes(`\`${named}\``)]).toEqual(['ERR_INVALID_ARGUMENT', true])
  }
  expect(await feedbackTracker.updateOutcome({ signalId: 'a', outcome: 'STOPPED_OUT', exitPrice: 101 })).toBe(true)
})

test('nothing is exported over the log', async () => {
  const { feedbackTracker, home } = newLoop()
  await feedbackTracker.recordSignal(buy('a'))
  for (const path of ['feedback/signals.jsonl', 'data/rows.csv', 'training_config.json']) {
    const error = await failure(() => feedbackTracker.exportTrainingData(join(home, path)))
    expect([error.code, error.message.includes(path)]).toEqual(['ERR_INVALID_ARGUMENT', true])
  }
  expect(records(home).size).toBe(1)
  expect(await feedbackTracker.exportTrainingData(join(home, 'rows.csv'))).toBe(0)
})

test('every spelling of a signal is one record', async () => {
  const loop = newLoop()
  const iso = new Date(AGO).toISOString()
  const common = { confidence: 70, timeframe: '1h' as const, indicators: { rsi: 71.5, macd: { histogram: -0.2 } } }
  const spellings: SignalInput[] = [
    { id: 'x', pair: 'BTC/USDT', signalType: 'BUY', entryPrice: 100, stopLoss: 98, takeProfit: 104, timestamp: new Date(AGO), ...common },
    { id: 'x', symbol: 'btcusdt', signal_type: 'BUY', entry_price: 100, stop_loss: 98, take_profit: 104, timestamp: iso, ...common },
    { id: 'x', pair: 'BTC-USDT', signalType: 'BUY', entryPrice: 100, stopLoss: 98, takeProfit: 104, timestamp: AGO, ...common },
  ]
  for (const spelling of spellings) expect(await loop.feedbackTracker.recordSignal(spelling)).toBe(true)
  const log = readFileSync(join(loop.home, 'feedback', 'signals.jsonl'), 'utf8')
  expect(log.trim().split('\n')).toHaveLength(1)
  expect(records(loop.home).get('x')).toMatchObject({
    signal_id: 'x',
    symbol: 'BTCUSDT',
    signal_type: 'BUY',
    entry_price: 100,
    timestamp: iso,
    indicators: { rsi: 71.5, macd: { histogram: -0.2 } },
    outcome: 'ACTIVE',
  })
})

test('the same id with other content is a conflict, and the first record stays', async () => {
  const loop = newLoop()
  await loop.feedbackTracker.recordSignal(buy('a'))
  const error = await failure(() => loop.feedbackTracker.recordSignal(buy('a', { entryPrice: 101 })))
  expect(error.code).toBe('ERR_SIGNAL_CONFLICT')
  expect(error.message).toContain('`a`')
  expect(error.message).toContain('entryPrice')
  expect(records(loop.home).get('a')).toMatchObject({ entry_price: 100 })

  const many = await failure(() => loop.feedbackTracker.recordSignals([buy('b'), buy('a', { confidence: 1 }), buy('c')]))
  expect(many.code).toBe('ERR_SIGNAL_CONFLICT')
  expect([...records(loop.home).keys()]).toEqual(['a', 'b', 'c'])
})

test('fifty records and fifty updates at once are all there', async () => {
  const loop = newLoop()
  const { feedbackTracker } = loop
  const ids = Array.from({ length: 50 }, (_, i) => `s${i}`)
  expect(await Promise.all(ids.map((id) => feedbackTracker.recordSignal(buy(id))))).toEqual(ids.map(() => true))
  const update = (signalId: string) => feedbackTracker.updateOutcome({ signalId, outcome: 'TOOK_PROFIT', exitPrice: 104 })
  expect(await Promise.all(ids.map(update))).toEqual(ids.map(() => true))
  expect((await feedbackTracker.getStats()).overall).toMatchObject({ closedSignals: 50, tookProfit: 50, activeSignals: 0 })
  const stored = records(loop.home)
  expect([...stored.keys()].sort()).toEqual([...ids].sort())
  expect([...stored.values()].every((record) => record.outcome === 'TOOK_PROFIT')).toBe(true)
})

test('the features at entry are kept when the candles are at hand, and only then', async () => {
  const loop = newLoop()
  const rows = candles(150)
  storeCandles(loop.home, rows)
  const now = rows.at(-1)![0] + HOUR
  await loop.feedbackTracker.recordSignal(buy('with', { timestamp: now }))
  await loop.feedbackTracker.recordSignal(buy('other-pair', { timestamp: now, pair: 'ETHUSDT' }))
  await loop.feedbackTracker.recordSignal(buy('too-old', { timestamp: rows[20]![0] }))
  const stored = records(loop.home)
  const features = stored.get('with')!.features as { version: number; values: number[] }
  expect(features.version).toBeGreaterThanOrEqual(1)
  expect(features.values.length).toBeGreaterThan(20)
  expect(features.values.every(Number.isFinite)).toBe(true)
  expect(stored.get('other-pair')).not.toHaveProperty('features')
  expect(stored.get('too-old')).not.toHaveProperty('features')
})

test('the log of the old system is read as it is', async () => {
  const home = newHome()
  const recent = new Date(NOW - 2 * HOUR).toISOString()
  const naive = recent.slice(0, 23)
  const old = (record: object) =>
    JSON.stringify({ symbol: 'BTCUSDT', timeframe: '1h', signal_type: 'BUY', confidence: 60, entry_price: 100, ...record })
  const lines = [
    old({ signal_id: 'naive', timestamp: naive, outcome: 'ACTIVE', stop_loss: 98, take_profit: 104 }),
    old({ signal_id: 'z', timestamp: recent, outcome: 'TOOK_PROFIT', exit_price: 104, profit_loss_percent: 4, closed_at: recent }),
    old({ signal_id: 'hold', timestamp: naive, signal_type: 'HOLD', outcome: 'ACTIVE' }),
    old({ signal_id: 'no-stop', timestamp: naive, stop_loss: null, take_profit: 105, outcome: 'ACTIVE' }),
    // The same id again: the last line wins.
    old({ signal_id: 'naive', timestamp: naive, outcome: 'STOPPED_OUT', exit_price: 98, profit_loss_percent: -2, closed_at: naive, stop_loss: 98, take_profit: 104 }),
  ]
  const torn = '{"signal_id":"torn","symbol":"BTCUS'
  mkdirSync(join(home, 'feedback'))
  writeFileSync(join(home, 'feedback', 'signals.jsonl'), `${lines.join('\n')}\n${torn}`)

  const { feedbackTracker } = newLoop({ home })
  expect((await feedbackTracker.getStats()).overall).toMatchObject({
    totalSignals: 3,
    closedSignals: 2,
    activeSignals: 1,
    holdSignals: 1,
    tookProfit: 1,
    stoppedOut: 1,
    totalProfitLoss: 2,
  })
  expect((await feedbackTracker.onPrice('BTCUSDT', 105)).map((one) => one.id)).toEqual(['no-stop'])
  // What was torn is kept for a human, and new lines do not run into it.
  await feedbackTracker.recordSignal(buy('torn'))
  expect(records(home).get('torn')).toMatchObject({ outcome: 'ACTIVE', entry_price: 100 })
  const quarantine = readFileSync(join(home, 'feedback', 'signals.quarantine.jsonl'), 'utf8')
  expect((JSON.parse(quarantine.trim()) as { text: string }).text).toBe(torn)
})

test('naive times of an old log are read in the configured zone', async () => {
  const home = newHome()
  const local = '2025-09-13 14:00:00.000000'
  const line = { signal_id: 'a', symbol: 'BTCUSDT', signal_type: 'BUY', entry_price: 100, take_profit: 104, timestamp: local, outcome: 'ACTIVE' }
  mkdirSync(join(home, 'feedback'))
  writeFileSync(join(home, 'feedback', 'signals.jsonl'), `${JSON.stringify(line)}\n`)
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ timezone: 'Europe/Berlin' }))
  const [closed] = await newLoop({ home }).feedbackTracker.onPrice('BTCUSDT', 104)
  expect(closed!.timestamp).toBe('2025-09-13T12:00:00.000Z')
})

test('prices count in the order they are given, awaited or not', async () => {
  const { feedbackTracker } = newLoop()
  const timestamp = Date.now() - 1_000_000
  for (let i = 0; i < 150; i++) {
    const pair = `P${i % 7}USDT`
    const [id, at] = [`order-${i}`, timestamp + i * 100]
    await feedbackTracker.recordSignal({
      id, pair, signalType: 'BUY', confidence: 50, entryPrice: 100, stopLoss: 90, takeProfit: 110, timestamp: at,
    })
    // The first price touches the stop; the second, a moment later, does not, and must not be seen first.
    const [stopped, later, candle] = await Promise.all([
      feedbackTracker.onPrice(pair, 85, at + 1),
      feedbackTracker.onPrice(pair, 100, at + 2),
      feedbackTracker.onPrices([pair], Float64Array.of(101), Float64Array.of(at + 3)),
    ])
    expect([id, stopped.map((closed) => closed.id), later, candle]).toEqual([id, [id], [], []])
  }
})
