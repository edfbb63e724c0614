// Signals with an entry that waits, several targets and a stop that moves: whole lives by prices, candles and hand, with restarts between.

import Decimal from 'decimal.js'
import { DateTime } from 'luxon'
import { join } from 'node:path'
import { SignalLoop, type ClosedSignal, type LoopEvent, type SignalEvent, type SignalInput, type StoredSignal } from '..'
import { contents, failure, newHome, newLoop, NOWHERE } from './helpers/home'

const HOUR = 3_600_000
const T0 = Date.parse('2024-03-04T08:00:00.000Z')
const at = (hours: number) => new Date(T0 + hours * HOUR)
const iso = (hours: number) => at(hours).toISOString()

/** As a channel gives it: bought back at 95, sold in three parts. */
const channel = (changes: object = {}): SignalInput =>
  ({
    id: 'a', pair: 'BTC/USDT', signalType: 'BUY', confidence: 60, timestamp: T0, entryType: 'limit', entryPrice: 95, stopLoss: 90,
    takeProfits: [{ price: 101, share: 50 }, { price: 107, share: 30 }, { price: 113, share: 20 }],
    stopRules: { breakEvenAfterTarget: 1, moveTo: [{ afterTarget: 2, price: 101 }] },
    leverage: 10, feeBps: 10, fundingBpsPerDay: 24, source: 'channel', tags: ['btc', 'swing'],
    ...changes,
  }) as SignalInput

/** Bought at once at 100: stop at 98, two halves at 102 and 104. */
const halves = (changes: object = {}): SignalInput =>
  channel({
    entryType: undefined, entryPrice: 100, stopLoss: 98, takeProfits: [{ price: 102 }, { price: 104 }], stopRules: { breakEvenAfterTarget: 1 },
    leverage: undefined, ...changes,
  })

/** A loop on one home that is closed and opened again by `restart`. */
const restarting = () => {
  const home = newHome()
  const open = () => newLoop({ home })
  const box = {
    loop: open(),
    async restart() {
      await box.loop.close()
      box.loop = open()
    },
    get: async (id = 'a') => (await box.loop.feedbackTracker.getSignal(id))!,
  }
  return box
}

const inWords = (event: SignalEvent): string => {
  switch (event.type) {
    case 'filled': return `filled ${event.price}`
    case 'target': return `target ${event.number} at ${event.price}: ${event.share}`
    case 'stop': return `stop to ${event.price}: ${event.cause}`
    case 'reduced': return `reduced at ${event.price}: ${event.share}`
    case 'amended': return 'amended'
    case 'exit': return `exit at ${event.price}: ${event.share}, ${event.cause}`
    case 'cancelled': return `cancelled: ${event.cause}`
  }
}
const told = ({ history }: Pick<StoredSignal, 'history'>) => history.map(inWords)

describe('a limit entry with three targets, by prices', () => {
  test('is followed to its end, with a restart after every price', async () => {
    const box = restarting()
    expect(await box.loop.feedbackTracker.recordSignal(channel())).toBe(true)
    expect(await box.get()).toMatchObject({
      status: 'PENDING', history: [],
      position: { stopLoss: 90, openShare: 100, targetsReached: 0, takeProfits: [{ price: 101, share: 50 }, { price: 107, share: 30 }, { price: 113, share: 20 }] },
    })
    const closed: ClosedSignal[] = []
    const steps: [hours: number, price: number, status: string, open: number, stop: number | undefined][] = [
      [1, 100, 'PENDING', 100, 90],
      [2, 94.8, 'OPEN', 100, 90],
      [14, 101, 'OPEN', 50, 95],
      [26, 107.5, 'OPEN', 20, 101],
      [50, 100.5, 'CLOSED', 0, undefined],
    ]
    for (const [hours, price, status, open, stop] of steps) {
      closed.push(...(await box.loop.feedbackTracker.onPrice('BTCUSDT', price, at(hours))))
      await box.restart()
      const stored = await box.get()
      expect([stored.status, stored.position?.openShare ?? 0, stored.position?.stopLoss]).toEqual([status, open, stop])
    }
    const stored = await box.get()
    expect(told(stored)).toEqual([
      'filled 95',
      'target 1 at 101: 50', 'stop to 95: BREAK_EVEN',
      'target 2 at 107.5: 30', 'stop to 101: AFTER_TARGET',
      'exit at 100.5: 20, STOP',
    ])
    expect(stored.history.map(({ at }) => at)).toEqual([2, 14, 14, 26, 26, 50].map(iso))
    expect(stored.position).toBeUndefined()
    expect(closed).toEqual([stored.closed])
    const result = stored.closed!
    expect(result).toMatchObject({ id: 'a', outcome: 'SUCCESS', closedAt: iso(50), holdingMs: 48 * HOUR })
    expect(result.fills).toEqual([
      { kind: 'ENTRY', price: 95, share: 100, at: iso(2) },
      { kind: 'TARGET', price: 101, share: 50, at: iso(14) },
      { kind: 'TARGET', price: 107.5, share: 30, at: iso(26) },
      { kind: 'STOP', price: 100.5, share: 20, at: iso(50) },
    ])
    // By hand: half of +6, three tenths of +12.5 and a fifth of +5.5, on 95.
    const profit = (100 * (0.5 * 6 + 0.3 * 12.5 + 0.2 * 5.5)) / 95
    // Held half for 12 hours, three tenths for 24 and a fifth for 48: 0.95 days.
    const net = profit - (10 + 24 * 0.95) / 100
    expect(result.exitPrice).toBeCloseTo(0.5 * 101 + 0.3 * 107.5 + 0.2 * 100.5, 9)
    expect(result.profitLossPercent).toBeCloseTo(profit, 9)
    expect(result.netProfitPercent).toBeCloseTo(net, 9)
    expect(result.netMarginPercent).toBeCloseTo(10 * net, 9)
    expect(result.realizedR).toBeCloseTo(net / ((100 * 5) / 95), 9)
  })

  test('that is never filled is cancelled, and counts as neither success nor failure', async () => {
    const box = restarting()
    const { feedbackTracker } = box.loop
    await feedbackTracker.recordSignals([
      channel(),
      channel({ id: 'expired', entryExpiresAt: at(2) }),
      channel({ id: 'breakout', entryType: 'stop', entryPrice: 103, stopLoss: 99.5, takeProfits: [{ price: 110 }], stopRules: undefined }),
    ])
    for (const [hours, price] of [[1, 100], [2, 99], [3, 101]] as const) expect(await feedbackTracker.onPrice('BTCUSDT', price, at(hours))).toEqual([])
    await box.restart()
    const causes = await Promise.all(['a', 'expired', 'breakout'].map(async (id) => [id, (await box.get(id)).status, ...told(await box.get(id))]))
    expect(causes).toEqual([
      ['a', 'CANCELLED', 'cancelled: TARGET_BEFORE_ENTRY'],
      ['expired', 'CANCELLED', 'cancelled: ENTRY_EXPIRED'],
      ['breakout', 'CANCELLED', 'cancelled: STOP_BEFORE_ENTRY'],
    ])
    const { closed } = await box.get()
    expect(closed).toMatchObject({ outcome: 'CANCELLED', profitLossPercent: 0, fills: [] })
    for (const missing of ['exitPrice', 'netProfitPercent', 'netMarginPercent', 'realizedR', 'mfeR', 'maeR', 'holdingMs']) expect(closed).not.toHaveProperty(missing)
    const { overall } = await box.loop.feedbackTracker.getStats(undefined, undefined, 36_500)
    expect([overall.successfulSignals, overall.failedSignals, overall.totalProfitLoss]).toEqual([0, 0, 0])
  })

  test('one price beyond all targets closes all parts at it', async () => {
    const { feedbackTracker } = newLoop()
    await feedbackTracker.recordSignal(channel({ signalType: 'SELL', entryPrice: 105, stopLoss: 110, takeProfits: [{ price: 100 }, { price: 90 }], stopRules: undefined }))
    expect(await feedbackTracker.onPrices(['BTCUSDT', 'BTCUSDT'], Float64Array.of(103, 106), Float64Array.of(T0 + 1, T0 + 2))).toEqual([])
    const [closed] = await feedbackTracker.onPrice('BTCUSDT', 84, at(1))
    expect(closed).toMatchObject({ outcome: 'TOOK_PROFIT', profitLossPercent: 20, exitPrice: 84 })
    expect(closed!.fills.map(({ kind, price, share }) => [kind, price, share])).toEqual([['ENTRY', 105, 100], ['TARGET', 84, 50], ['TARGET', 84, 50]])
  })
})

describe('candles count in the order that is worst for the signal', () => {
  const candle = (hours: number, open: number, high: number, low: number, close: number) => ({ time: T0 + hours * HOUR, open, high, low, close, volume: 1 })
  const lived = async (signal: SignalInput, ...candles: object[]) => {
    const { feedbackTracker } = newLoop()
    await feedbackTracker.recordSignal(signal)
    for (const one of candles) await feedbackTracker.onCandle('BTCUSDT', one as ReturnType<typeof candle>, '1h')
    return told((await feedbackTracker.getSignal('a'))!)
  }

  test.each([
    ['a gap beyond a limit entry fills at the open', channel(), candle(0, 93, 96, 92, 96), ['filled 93']],
    ['entry and stop: entered, then stopped', channel(), candle(0, 100, 100.5, 89, 99), ['filled 95', 'exit at 90: 100, STOP']],
    ['entry and target: nobody knows', channel(), candle(0, 100, 102, 94, 99), ['cancelled: TARGET_BEFORE_ENTRY']],
    ['the high before a limit entry moves no trailing stop', channel({ takeProfits: undefined, stopRules: { trail: { distance: 1.5 } } }), candle(0, 96, 99, 94, 95.5), ['filled 95', 'stop to 94: TRAIL', 'exit at 94: 100, STOP']],
    ['nor does it matter without one', channel({ stopRules: undefined }), candle(0, 96, 99, 94, 96.4), ['filled 95']],
    ['the stop before the target', halves(), candle(0, 100, 105, 97, 104), ['exit at 98: 100, STOP']],
    ['back to the entry after the first target', halves(), candle(0, 101, 105, 99.5, 104.5), ['target 1 at 102: 50', 'stop to 100: BREAK_EVEN', 'exit at 100: 50, STOP']],
    ['both targets', halves(), candle(0, 101, 105, 100.5, 104.5), ['target 1 at 102: 50', 'stop to 100: BREAK_EVEN', 'target 2 at 104: 50']],
    ['a trailing stop may have turned at once', halves({ takeProfits: undefined, stopRules: { trail: { distance: 1.5 } } }), candle(0, 100, 103, 99, 102), ['stop to 99: TRAIL', 'exit at 99: 100, STOP']],
  ])('%s', async (_name, signal, one, expected) => expect(await lived(signal, one)).toEqual(expected))

  test('the next candle counts whole', async () => {
    expect(await lived(channel(), candle(0, 100, 100, 94, 96), candle(1, 96, 108, 95.5, 107))).toEqual([
      'filled 95', 'target 1 at 101: 50', 'stop to 95: BREAK_EVEN', 'target 2 at 107: 30', 'stop to 101: AFTER_TARGET', 'exit at 101: 20, STOP',
    ])
  })
})

describe('by hand', () => {
  test('amended, reduced and closed, with restarts between', async () => {
    const box = restarting()
    const tracker = () => box.loop.feedbackTracker
    await tracker().recordSignal(halves())
    expect(await tracker().amendSignal({ signalId: 'a', stopLoss: 97, reason: 'news' })).toBe(true)
    await box.restart()
    expect(await tracker().updateOutcome({ signalId: 'a', share: 40, exitPrice: 101 })).toBe(true)
    expect(await tracker().amendSignal({ signalId: 'a', takeProfits: [{ price: 103 }, { price: 106 }] })).toBe(true)
    await box.restart()
    expect((await box.get()).position).toMatchObject({ openShare: 60, stopLoss: 97, takeProfits: [{ price: 103, share: 30 }, { price: 106, share: 30 }] })
    // The prices of tomorrow, because the changes are of now.
    const now = Date.now()
    expect(await tracker().onPrice('BTCUSDT', 103, now)).toEqual([])
    await box.restart()
    expect(await tracker().updateOutcome({ signalId: 'a', share: 30, profitLossPercent: 2 })).toBe(true)
    expect(await tracker().updateOutcome({ signalId: 'a', share: 1, exitPrice: 101 })).toBe(false)
    expect(await tracker().amendSignal({ signalId: 'a', stopLoss: 99 })).toBe(false)
    const stored = await box.get()
    expect(told(stored)).toEqual([
      'amended', 'reduced at 101: 40', 'amended', 'target 1 at 103: 30', 'stop to 100: BREAK_EVEN', 'exit at 102: 30, HAND',
    ])
    expect(stored.history[0]).toEqual({ type: 'amended', at: expect.any(String), stopLoss: 97, reason: 'news' })
    expect(stored.closed).toMatchObject({ outcome: 'SUCCESS' })
    expect(stored.closed!.profitLossPercent).toBeCloseTo(0.4 * 1 + 0.3 * 3 + 0.3 * 2, 9)
    // The risk is that of the first stop: 2 %.
    expect(stored.closed!.realizedR).toBeCloseTo(stored.closed!.netProfitPercent! / 2, 9)
  })

  test('a plain signal may be amended, and closed in parts of the past', async () => {
    const { feedbackTracker } = newLoop()
    const plain = { id: 'a', pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 95, takeProfit: 110, timestamp: T0 } as const
    await feedbackTracker.recordSignal(plain)
    expect(await feedbackTracker.getSignal('a')).toMatchObject({ status: 'OPEN', history: [], position: { entryPrice: 100, enteredAt: iso(0), takeProfits: [{ price: 110, share: 100 }] } })
    expect(await feedbackTracker.updateOutcome({ signalId: 'a', share: 25, outcome: 'SUCCESS', exitPrice: 104, closedAt: at(1) })).toBe(true)
    const [closed] = await feedbackTracker.onPrice('BTCUSDT', 112, at(2))
    expect(closed).toMatchObject({ outcome: 'TOOK_PROFIT', profitLossPercent: 0.25 * 4 + 0.75 * 12, holdingMs: 2 * HOUR })
  })

  test('cancelled, and replaced', async () => {
    const { feedbackTracker } = newLoop()
    await feedbackTracker.recordSignals([channel(), channel({ id: 'b' }), channel({ id: 'c' }), halves({ id: 'open' })])
    expect(await feedbackTracker.cancelSignal({ signalId: 'a', at: at(3), reason: 'weekend' })).toBe(true)
    expect(await feedbackTracker.cancelSignal({ signalId: 'b', replacedBy: 'c' })).toBe(true)
    expect(await feedbackTracker.updateOutcome({ signalId: 'c', outcome: 'CANCELLED' })).toBe(true)
    expect(await feedbackTracker.cancelSignal({ signalId: 'a' })).toBe(false)
    expect(await feedbackTracker.cancelSignal({ signalId: 'nobody' })).toBe(false)
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(async (id) => (await feedbackTracker.getSignal(id))!))
    expect(a!.history).toEqual([{ type: 'cancelled', cause: 'BY_HAND', reason: 'weekend', at: iso(3) }])
    expect(b!.history).toEqual([{ type: 'cancelled', cause: 'REPLACED', replacedBy: 'c', at: expect.any(String) }])
    expect([a!.status, b!.status, c!.status, c!.closed!.outcome]).toEqual(['CANCELLED', 'CANCELLED', 'CANCELLED', 'CANCELLED'])
    expect(await failure(() => feedbackTracker.cancelSignal({ signalId: 'open' }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('updateOutcome'),
    })
  })

  test('an amended expiry moves that of the entry', async () => {
    const { feedbackTracker } = newLoop()
    const [soon, later] = [Date.now() + HOUR, Date.now() + 2 * HOUR]
    await feedbackTracker.recordSignal(channel({ expiresAt: soon }))
    expect(await feedbackTracker.amendSignal({ signalId: 'a', expiresAt: later })).toBe(true)
    expect((await feedbackTracker.getSignal('a'))!.position!.expiresAt).toBe(new Date(later).toISOString())
  })
})

test('what happens is told as events', async () => {
  const heard: LoopEvent[] = []
  const { feedbackTracker } = newLoop({ onEvent: (event) => heard.push(event) })
  await feedbackTracker.recordSignals([channel({ strategy: 'swing', taken: false }), channel({ id: 'b' })])
  await feedbackTracker.onPrice('BTCUSDT', 95, at(1))
  await feedbackTracker.onPrice('BTCUSDT', 101, at(2))
  await feedbackTracker.amendSignal({ signalId: 'b', stopLoss: 96 })
  await feedbackTracker.onPrice('BTCUSDT', 94, Date.now())
  await feedbackTracker.recordSignal(channel({ id: 'c' }))
  await feedbackTracker.updateOutcome({ signalId: 'c', outcome: 'CANCELLED' })
  for (const end = Date.now() + 10_000; heard.length < 8 && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 10))
  const of = (id: string) =>
    heard.flatMap((event) => {
      if (event.type === 'signalClosed') return event.signal.id === id ? [`closed: ${event.signal.outcome}`] : []
      if (event.type !== 'signalChanged' || event.signal.id !== id) return []
      return [`${event.signal.status}: ${told({ history: event.events }).join(', ')}`]
    })
  expect(of('a')).toEqual(['OPEN: filled 95', 'OPEN: target 1 at 101: 50, stop to 95: BREAK_EVEN', 'closed: SUCCESS'])
  expect(of('b')).toEqual(['OPEN: filled 95', 'OPEN: target 1 at 101: 50, stop to 95: BREAK_EVEN', 'OPEN: amended', 'closed: SUCCESS'])
  expect(of('c')).toEqual(['CANCELLED: cancelled: BY_HAND'])
  const first = heard.find((event) => event.type === 'signalChanged' && event.signal.id === 'a')
  expect(first).toMatchObject({ signal: { symbol: 'BTCUSDT', timeframe: '1h', signalType: 'BUY', strategy: 'swing', taken: false } })
})

describe('getSignal', () => {
  test('shows a signal as it was given, with the keys of the caller', async () => {
    const { feedbackTracker } = newLoop()
    const given = channel({ expiresAt: at(100), entryExpiresAt: at(50), indicators: { rsi: 40 }, note: 'mine', quantity: 0.5 })
    await feedbackTracker.recordSignal(given)
    const { signal } = (await feedbackTracker.getSignal('a'))!
    expect(signal).toEqual({ ...given, pair: 'BTCUSDT', timeframe: '1h', taken: true, timestamp: iso(0), expiresAt: iso(100), entryExpiresAt: iso(50) })
    // The same signal once more.
    expect(await feedbackTracker.recordSignal({ ...signal, confidence: signal.confidence! })).toBe(true)
    expect(feedbackTracker.shouldCloseSignal(signal, 101).outcome).toBe('CANCELLED')
  })

  test('knows zones, HOLDs, trailing stops and what it does not know', async () => {
    const { feedbackTracker } = newLoop()
    const zone = channel({ id: 'zone', entryType: undefined, entryPrice: undefined, entryZone: { low: 94, high: 96 }, stopRules: { trail: { percent: 2, activateAtR: 1 } } })
    await feedbackTracker.recordSignals([zone, { id: 'hold', pair: 'BTCUSDT', signalType: 'HOLD', confidence: 1, timestamp: T0 }])
    const stored = (await feedbackTracker.getSignal('zone'))!
    expect(stored.signal).toMatchObject({ entryType: 'limit', entryZone: { low: 94, high: 96 }, stopRules: { trail: { percent: 2, activateAtR: 1 } } })
    expect(stored.signal).not.toHaveProperty('entryPrice')
    expect(await feedbackTracker.getSignal('hold')).toEqual({ signal: expect.objectContaining({ signalType: 'HOLD' }), history: [] })
    expect(await feedbackTracker.getSignal('nobody')).toBeNull()
    expect((await failure(() => feedbackTracker.getSignal(5 as never))).message).toContain('signalId')
  })

  test('says at which edge of its zone a signal was entered', async () => {
    const { feedbackTracker } = newLoop()
    const zone = (id: string, pair: string) => channel({ id, pair, entryType: undefined, entryPrice: undefined, entryZone: { low: 94, high: 96 } })
    for (const [id, pair, prices, edge] of [
      ['above', 'AAAUSDT', [100, 95, 120], 'HIGH'],
      ['below', 'BBBUSDT', [93, 95, 120], 'LOW'],
      ['within', 'CCCUSDT', [95, 120], 'WITHIN'],
    ] as const) {
      const signal = zone(id, pair)
      await feedbackTracker.recordSignal(signal)
      let closed: ClosedSignal[] = []
      for (const [i, price] of prices.entries()) closed = await feedbackTracker.onPrice(pair, price, at(1 + i))
      const { history, closed: told } = (await feedbackTracker.getSignal(id))!
      expect(history[0]).toMatchObject({ type: 'filled', edge })
      expect(told!.fills.map((fill) => fill.edge)).toEqual([edge, ...Array(told!.fills.length - 1).fill(undefined)])
      expect(closed[0]!.fills[0]).toEqual(told!.fills[0])
    }
    const { events } = feedbackTracker.shouldCloseSignal(zone('asked', 'AAAUSDT'), 95) as { events: object[] }
    expect(events[0]).toMatchObject({ type: 'filled', price: 95, edge: 'WITHIN' })
  })

  test('a signal recorded with its end has a result', async () => {
    const { feedbackTracker } = newLoop()
    const end = { outcome: 'SUCCESS', exitPrice: 103, closedAt: at(24) }
    await feedbackTracker.recordSignals([halves({ ...end, fundingBpsPerDay: 5 }), channel({ id: 'limit', ...end }), channel({ id: 'never', outcome: 'CANCELLED', closedAt: at(1) })])
    const [market, limit, never] = await Promise.all(['a', 'limit', 'never'].map(async (id) => (await feedbackTracker.getSignal(id))!))
    expect(market!.closed).toMatchObject({ profitLossPercent: 3, holdingMs: 24 * HOUR })
    expect(market!.closed!.netProfitPercent).toBeCloseTo(3 - 0.1 - 0.05, 9)
    expect(market!.closed!.realizedR).toBeCloseTo(2.85 / 2, 9)
    // The time of its entry is unknown, so the costs of holding it are unknown, too.
    expect(limit!.closed).not.toHaveProperty('netProfitPercent')
    expect([limit!.status, never!.status]).toEqual(['CLOSED', 'CANCELLED'])
  })
})

describe('shouldCloseSignal', () => {
  const { feedbackTracker } = new SignalLoop({ home: newHome(), exchangeUrl: NOWHERE, threads: 1 })

  test.each([
    ['waits', channel(), 100, { shouldClose: false, outcome: 'ACTIVE', profitLoss: 0, status: 'PENDING', unknown: ['entry', 'targets', 'stop'] }, []],
    ['is filled', channel(), 95, { shouldClose: false, outcome: 'ACTIVE', profitLoss: 0, status: 'OPEN' }, ['filled 95']],
    ['is filled and stopped', channel({ entryPrice: 100 }), 90, { shouldClose: true, outcome: 'STOPPED_OUT', profitLoss: -10, status: 'CLOSED' }, ['filled 100', 'exit at 90: 100, STOP']],
    ['misses its entry', channel(), 101, { shouldClose: true, outcome: 'CANCELLED', profitLoss: 0, status: 'CANCELLED' }, ['cancelled: TARGET_BEFORE_ENTRY']],
    ['waited too long', channel({ entryExpiresAt: at(1) }), 100, { shouldClose: true, outcome: 'CANCELLED' }, ['cancelled: ENTRY_EXPIRED']],
    ['reaches its first target', halves(), 102.5, { shouldClose: false, outcome: 'ACTIVE', profitLoss: 2.5, status: 'OPEN', unknown: ['targets', 'stop'] }, ['target 1 at 102.5: 50', 'stop to 100: BREAK_EVEN']],
    ['reaches all targets', halves(), 105, { shouldClose: true, outcome: 'TOOK_PROFIT', profitLoss: 5, status: 'CLOSED' }, ['target 1 at 105: 50', 'stop to 100: BREAK_EVEN', 'target 2 at 105: 50']],
    ['is stopped', halves(), 97, { shouldClose: true, outcome: 'STOPPED_OUT', profitLoss: -3 }, ['exit at 97: 100, STOP']],
    ['has one target, bought back', channel({ takeProfits: undefined, takeProfit: 101, stopRules: undefined }), 100, { status: 'PENDING', unknown: ['entry'] }, []],
    ['trails', halves({ takeProfits: undefined, stopRules: { trail: { atr: 2 } } }), 110, { shouldClose: false, unknown: ['stop'] }, []],
  ])('of a signal that %s', (_name, signal, price, expected, events) => {
    const decision = feedbackTracker.shouldCloseSignal(signal, price)
    expect(decision).toMatchObject(expected)
    expect(told({ history: decision.events! })).toEqual(events)
  })

  test('of a plain signal is what it was', () => {
    const plain = { signalType: 'BUY', entryPrice: 100, stopLoss: 98, takeProfit: 104 } as const
    for (const one of [plain, { ...plain, takeProfits: null }, { ...plain, entryType: 'market' as const, stopRules: {} }, { ...plain, expiresAt: at(1e6) }]) {
      expect(feedbackTracker.shouldCloseSignal(one, 103)).toStrictEqual({ shouldClose: false, outcome: 'ACTIVE', profitLoss: 3 })
    }
  })
})

/** The members of `changes` under the other spelling, at every level. */
const snake = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(snake)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), key === 'indicators' ? inner : snake(inner)]))
}

test('in snake_case it is the same signal', async () => {
  const { feedbackTracker } = newLoop()
  const given = channel({ entryExpiresAt: at(5), stopRules: { breakEvenAfterTarget: 1, breakEvenCostsPercent: 0.2, trail: { percent: 3, activateAtR: 1 }, moveTo: [{ afterTarget: 2, price: 101 }] } })
  await feedbackTracker.recordSignal(given)
  const { signal_type, id, ...others } = snake(given) as Record<string, unknown>
  expect(await feedbackTracker.recordSignal({ ...others, id, signal_type } as SignalInput)).toBe(true)
  expect((await feedbackTracker.getSignal('a'))!.signal).toMatchObject({ stopRules: (given as { stopRules: object }).stopRules })
  expect(await feedbackTracker.amendSignal({ signal_id: 'a', stop_loss: 91 } as never)).toBe(true)
  expect(await feedbackTracker.cancelSignal({ signal_id: 'a', replaced_by: 'b' } as never)).toBe(true)
})

/** As a class of one's own: the price is behind a getter, and other fields are no target's business. */
class Target {
  readonly #price: unknown
  constructor(price: unknown, readonly share: unknown, readonly note = 'resistance') {
    this.#price = price
  }
  get price() {
    return this.#price
  }
}

/** As a document of Mongoose within another. */
class Subdocument {
  readonly $__ = { activePaths: {} }
  constructor(readonly _doc: object) {}
  toJSON() {
    return { _id: { toJSON: (): string => '65e5' }, ...this._doc }
  }
}

describe('targets, zones and rules are the same', () => {
  const given = (price: (digits: string) => unknown, target: (price: unknown, share: unknown) => unknown, wrap = (rules: object): unknown => rules) =>
    channel({
      entryType: undefined, entryPrice: undefined, stopLoss: price('90'), leverage: price('10'), feeBps: price('10'), entryExpiresAt: at(5),
      entryZone: wrap({ low: price('94'), high: price('96') }),
      takeProfits: [target(price('101'), price('50')), target(price('107'), price('50'))],
      stopRules: wrap({ breakEvenAfterTarget: price('1'), trail: wrap({ percent: price('2'), activateAtR: price('1') }), moveTo: [wrap({ afterTarget: price('2'), price: price('101') })] }),
    })
  const plain = (price: unknown, share: unknown) => ({ price, share })
  const decimal = (digits: string) => new Decimal(digits)
  test.each<[string, () => SignalInput]>([
    ['as numbers', () => given(Number, plain)],
    ['as decimals', () => given(decimal, plain)],
    ['as BigInts', () => given(BigInt, plain)],
    ['as decimals of MongoDB', () => given((digits) => ({ toJSON: () => ({ $numberDecimal: digits }) }), plain)],
    ['as boxed numbers', () => given((digits) => Object(Number(digits)), plain)],
    ['as instances of a class', () => given(decimal, (price, share) => new Target(price, share))],
    ['as rows of a database', () => given(decimal, (price, share) => ({ id: 7, price, share }))],
    ['as documents', () => given(decimal, (price, share) => new Subdocument({ price, share }), (rules) => new Subdocument(rules))],
    ['as objects that inherit', () => given(Number, (price, share) => Object.create({ price, share }) as object)],
    ['without prototypes', () => given(Number, (price, share) => Object.assign(Object.create(null), { price, share }) as object)],
    ['with times of luxon', () => ({ ...given(Number, plain), entryExpiresAt: DateTime.fromJSDate(at(5)) }) as unknown as SignalInput],
  ])('%s', async (_name, make) => {
    const { feedbackTracker } = newLoop()
    await feedbackTracker.recordSignal(make())
    expect((await feedbackTracker.getSignal('a'))!.signal).toMatchObject({
      entryZone: { low: 94, high: 96 }, stopLoss: 90, leverage: 10, feeBps: 10, entryExpiresAt: iso(5), takeProfits: [{ price: 101, share: 50 }, { price: 107, share: 50 }],
      stopRules: { breakEvenAfterTarget: 1, trail: { percent: 2, activateAtR: 1 }, moveTo: [{ afterTarget: 2, price: 101 }] },
    })
    // Alone, among many, and asked about, it reads the same.
    expect(await feedbackTracker.recordSignals([make()])).toBe(1)
    expect(feedbackTracker.shouldCloseSignal({ ...make(), entryExpiresAt: undefined } as never, 97).status).toBe('PENDING')
  })

  test('in changes, too', async () => {
    const { feedbackTracker } = newLoop()
    await feedbackTracker.recordSignal(halves())
    expect(await feedbackTracker.updateOutcome({ signalId: 'a', share: decimal('40'), exitPrice: 101n } as never)).toBe(true)
    expect(await feedbackTracker.amendSignal({ signalId: 'a', stopLoss: decimal('97'), takeProfits: [new Target(decimal('105'), decimal('60'))] } as never)).toBe(true)
    expect((await feedbackTracker.getSignal('a'))!.position).toMatchObject({ stopLoss: 97, openShare: 60, takeProfits: [{ price: 105, share: 60 }] })
  })
})

test('what nested values throw, and values within themselves, are the reason of the refusal', async () => {
  const { feedbackTracker } = newLoop()
  const thrown = Object.defineProperty({}, 'price', { get: () => { throw new Error('not loaded') }, enumerable: true })
  expect(await failure(() => feedbackTracker.recordSignal(channel({ takeProfits: [thrown] })))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('not loaded') })
  const cyclic: Record<string, unknown> = {}
  cyclic.trail = cyclic
  expect(await failure(() => feedbackTracker.recordSignal(channel({ stopRules: cyclic })))).toMatchObject({ message: expect.stringContaining('contain itself') })
})

describe('is refused by field and value, and changes nothing', () => {
  const loop = newLoop()
  const { feedbackTracker } = loop
  /** What is stored; checks of live results run in the background, and have files of their own. */
  const log = () => contents(join(loop.home, 'feedback'))
  const NONE = { takeProfits: undefined, stopRules: undefined }
  const targets = (takeProfits: unknown) => ({ takeProfits, stopRules: undefined })
  const rules = (stopRules: unknown) => ({ stopRules })
  beforeAll(async () => {
    await feedbackTracker.recordSignals([channel({ id: 'waits' }), halves({ id: 'open' }), { id: 'plain', pair: 'ETHUSDT', signalType: 'BUY', confidence: 1, entryPrice: 100, timestamp: T0 }])
    await feedbackTracker.updateOutcome({ signalId: 'open', share: 60, exitPrice: 101, closedAt: at(1) })
  })

  test.each<[string, object, string, string]>([
    ['an unknown entry', { entryType: 'iceberg' }, 'entryType', 'iceberg'],
    ['an entry of NaN', { entryType: NaN }, 'entryType', 'NaN'],
    ['a zone that is a number', { entryType: undefined, entryZone: 95 }, 'entryZone', '95'],
    ['a zone upside down', { entryType: undefined, entryZone: { low: 96, high: 94 } }, 'entryZone', '96'],
    ['a zone of NaN', { entryType: undefined, entryZone: { low: NaN, high: 96 } }, 'entryZone', 'NaN'],
    ['a zone with more', { entryType: undefined, entryZone: { low: 94, high: 96, mid: 95 } }, 'entryZone', 'mid'],
    ['a zone of a stop entry', { entryType: 'stop', entryZone: { low: 94, high: 96 } }, 'entryType', 'stop'],
    ['an entry beside the zone', { entryType: undefined, entryPrice: 99, entryZone: { low: 94, high: 96 } }, 'entryPrice', '99'],
    ['a stop within the zone', { entryType: undefined, entryZone: { low: 89, high: 96 } }, 'stopLoss', '90'],
    ['a wait of a market entry', { ...NONE, entryType: 'market', entryExpiresAt: at(1) }, 'entryExpiresAt', iso(1)],
    ['a wait that is over', { entryExpiresAt: at(0) }, 'entryExpiresAt', iso(0)],
    ['a wait beyond the expiry', { expiresAt: at(1), entryExpiresAt: at(2) }, 'entryExpiresAt', iso(2)],
    ['a wait until an invalid Date', { entryExpiresAt: new Date(NaN) }, 'entryExpiresAt', 'Invalid Date'],
    ['no targets', targets([]), 'takeProfits', '[]'],
    ['17 targets', targets(Array.from({ length: 17 }, (_, i) => ({ price: 101 + i }))), 'takeProfits', '101'],
    ['a target that is a price', targets([101]), 'takeProfits', '101'],
    ['one target for many', targets({ price: 101 }), 'takeProfits', '101'],
    ['a target of NaN', targets([{ price: NaN }]), 'takeProfits', 'NaN'],
    ['a target as text', targets([{ price: '101' }]), 'takeProfits', '"101"'],
    ['a misspelt share', targets([{ price: 101, shares: 50 }]), 'takeProfits', 'shares'],
    ['a share of 0', targets([{ price: 101, share: 0 }]), 'takeProfits', '0'],
    ['a share of NaN', targets([{ price: 101, share: NaN }]), 'takeProfits', 'NaN'],
    ['a share of some', targets([{ price: 101, share: 50 }, { price: 102 }]), 'takeProfits', '102'],
    ['more than all', targets([{ price: 101, share: 60 }, { price: 102, share: 50 }]), 'takeProfits', '110'],
    ['targets out of order', targets([{ price: 102 }, { price: 101 }]), 'takeProfits', '101'],
    ['targets on the wrong side', targets([{ price: 94 }]), 'takeProfits', '94'],
    ['one target beside many', { takeProfit: 101 }, 'takeProfit', '101'],
    ['rules that are a list', rules([]), 'stopRules', '[]'],
    ['an unknown rule', rules({ breakeven: 1 }), 'stopRules', 'breakeven'],
    ['break-even after target 0', rules({ breakEvenAfterTarget: 0 }), 'breakEvenAfterTarget', '0'],
    ['break-even after half a target', rules({ breakEvenAfterTarget: 1.5 }), 'breakEvenAfterTarget', '1.5'],
    ['break-even after a target that is not', rules({ breakEvenAfterTarget: 4 }), 'stopRules', '4'],
    ['costs of a break-even that is not', rules({ breakEvenCostsPercent: 0.2 }), 'breakEvenCostsPercent', '0.2'],
    ['costs below 0', rules({ breakEvenAfterTarget: 1, breakEvenCostsPercent: -1 }), 'breakEvenCostsPercent', '-1'],
    ['a trail of nothing', rules({ trail: {} }), 'trail', '{}'],
    ['a trail of two kinds', rules({ trail: { percent: 1, distance: 2 } }), 'trail', 'distance'],
    ['a trail of all', rules({ trail: { percent: 100 } }), 'trail', '100'],
    ['a trail of NaN', rules({ trail: { distance: NaN } }), 'trail', 'NaN'],
    ['a trail that begins before', rules({ trail: { percent: 1, activateAtR: -1 } }), 'activateAtR', '-1'],
    ['a trail by R without a stop', { stopLoss: undefined, ...rules({ trail: { percent: 1, activateAtR: 1 } }) }, 'activateAtR', 'activateAtR'],
    ['a trail by a range that nobody knows', rules({ trail: { atr: 2 } }), 'stopRules', '2'],
    ['two spellings that differ', rules({ breakEvenAfterTarget: 1, break_even_after_target: 2 }), 'stopRules', '2'],
    ['a step after a target that is not', rules({ moveTo: [{ afterTarget: 9, price: 96 }] }), 'stopRules', '9'],
    ['a step beyond its target', rules({ moveTo: [{ afterTarget: 1, price: 102 }] }), 'stopRules', '102'],
    ['a step that loosens', rules({ moveTo: [{ afterTarget: 1, price: 89 }] }), 'stopRules', '89'],
    ['a step without a price', rules({ moveTo: [{ afterTarget: 1 }] }), 'moveTo', 'afterTarget'],
    ['a leverage of 0', { leverage: 0 }, 'leverage', '0'],
    ['a leverage as text', { leverage: '10x' }, 'leverage', '10x'],
    ['a leverage of NaN', { leverage: NaN }, 'leverage', 'NaN'],
    ['a fee below 0', { feeBps: -1 }, 'feeBps', '-1'],
    ['a funding of 100 % and more', { fundingBpsPerDay: 10_001 }, 'fundingBpsPerDay', '10001'],
    ['no quantity', { quantity: 0 }, 'quantity', '0'],
    ['a blank source', { source: ' ' }, 'source', '" "'],
    ['a source that is a function', { source: () => 'x' }, 'source', 'function'],
    ['tags as text', { tags: 'btc' }, 'tags', 'btc'],
    ['a tag that is a number', { tags: [7] }, 'tags', '7'],
    ['a tag that is a function', { tags: [() => 'x'] }, 'tags', 'function'],
    ['33 tags', { tags: Array(33).fill('x') }, 'tags', '32'],
    ['terms of another', { managed_terms: {} }, 'managed_terms', '{}'],
    ['a history', { managed_history: [] }, 'managed_history', '[]'],
    ['a HOLD that waits', { signalType: 'HOLD' }, 'entryType', 'HOLD'],
    ['a plain signal that was cancelled', { ...NONE, entryType: undefined, outcome: 'CANCELLED', closedAt: at(1) }, 'outcome', 'CANCELLED'],
  ])('a signal with %s', async (_name, changes, field, value) => {
    const before = log()
    const works: (() => unknown)[] = [() => feedbackTracker.recordSignal(channel(changes)), () => feedbackTracker.recordSignals([channel({ id: 'b' }), channel(changes)])]
    for (const work of works) {
      const error = await failure(work)
      expect([error.code, error.message]).toEqual(['ERR_INVALID_SIGNAL', expect.stringContaining(`\`${field}\``)])
      expect(error.message).toContain(value)
    }
    expect(log()).toEqual(before)
  })

  const amend = (changes: object) => () => feedbackTracker.amendSignal({ signalId: 'open', ...changes } as never)
  const cancel = (changes: object) => () => feedbackTracker.cancelSignal({ signalId: 'waits', ...changes } as never)
  const update = (changes: object) => () => feedbackTracker.updateOutcome({ signalId: 'open', ...changes } as never)
  test.each<[string, () => unknown, string, string]>([
    ['an amendment of nothing', amend({}), 'amendment', 'none'],
    ['an amendment of nobody', amend({ signalId: undefined, stopLoss: 99 }), 'signalId', 'nothing'],
    ['an amendment that is none', () => feedbackTracker.amendSignal(null as never), 'amendment', 'null'],
    ['an amendment of what cannot be amended', amend({ entryPrice: 99 }), 'entryPrice', '99'],
    ['a stop of NaN', amend({ stopLoss: NaN }), 'stopLoss', 'NaN'],
    ['a stop beyond the target', amend({ stopLoss: 103 }), 'stopLoss', '103'],
    ['a stop beyond the entry that is awaited', amend({ signalId: 'waits', stopLoss: 96 }), 'stopLoss', '96'],
    ['targets of more than is open', amend({ takeProfits: [{ price: 103, share: 50 }] }), 'takeProfits', '40'],
    ['targets as text', amend({ takeProfits: '103' }), 'takeProfits', '103'],
    ['an expiry that is over', amend({ expiresAt: at(2) }), 'expiresAt', iso(2)],
    ['a reason that is none', amend({ stopLoss: 99, reason: 5 }), 'reason', '5'],
    ['a reason that is a function', amend({ stopLoss: 99, reason: () => 'x' }), 'reason', 'function'],
    ['a novel for a reason', amend({ stopLoss: 99, reason: 'x'.repeat(501) }), 'reason', '500'],
    ['a cancellation in the future', cancel({ at: Date.now() + HOUR }), 'at', 'future'],
    ['a cancellation before the signal', cancel({ at: at(-1) }), 'at', iso(-1)],
    ['a cancellation at NaN', cancel({ at: NaN }), 'at', 'NaN'],
    ['a cancellation for an id that is none', cancel({ replacedBy: {} }), 'replacedBy', '{}'],
    ['a cancellation with more', cancel({ cause: 'BY_HAND' }), 'cause', 'BY_HAND'],
    ['a cancellation of a plain signal', cancel({ signalId: 'plain' }), 'signalId', iso(0)],
    ['a plain signal that ends CANCELLED', update({ signalId: 'plain', outcome: 'CANCELLED' }), 'outcome', 'CANCELLED'],
    ['a share of NaN', update({ share: NaN, exitPrice: 101 }), 'share', 'NaN'],
    ['a share of 0', update({ share: 0, exitPrice: 101 }), 'share', '0'],
    ['a share of more than is open', update({ share: 41, exitPrice: 101 }), 'share', '41'],
    ['a share without a price', update({ share: 10 }), 'exitPrice', 'nothing'],
    ['a share with another profit than its price', update({ share: 10, exitPrice: 101, profitLossPercent: 10 }), 'profitLossPercent', '10'],
    ['a share of a success at a loss', update({ share: 10, exitPrice: 99, outcome: 'SUCCESS' }), 'profitLossPercent', '-1'],
    ['a share that is unknown', update({ share: 10, outcome: 'UNKNOWN' }), 'share', '10'],
    ['a share of the past', update({ share: 10, exitPrice: 101, closedAt: at(0.5) }), 'closedAt', iso(0.5)],
    ['an unknown end with a price', update({ outcome: 'UNKNOWN', exitPrice: 101 }), 'exitPrice', '101'],
    ['neither share nor outcome', update({ exitPrice: 101 }), 'outcome', 'nothing'],
    ['an end of what waits', update({ signalId: 'waits', outcome: 'SUCCESS', exitPrice: 101 }), 'outcome', 'SUCCESS'],
    ['a part of what waits', update({ signalId: 'waits', share: 10, exitPrice: 101 }), 'outcome', 'ACTIVE'],
  ])('%s', async (_name, work, field, value) => {
    const before = log()
    const error = await failure(work)
    expect([error.code, error.message]).toEqual(['ERR_INVALID_ARGUMENT', expect.stringContaining(`\`${field}\``)])
    expect(error.message).toContain(value)
    expect(log()).toEqual(before)
  })
})
