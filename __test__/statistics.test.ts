import { join } from 'node:path'
import type { SignalInput } from '..'
import { ROOT, runNode } from './helpers/child'
import { NOWHERE, newLoop } from './helpers/home'

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** Noon. */
const BEGAN = Date.parse('2025-01-31T12:00:00Z')

const stats = (home: string, ...args: string[]) =>
  runNode([join(ROOT, 'bin', 'signalloop.js'), 'stats', '--all', ...args], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE } })

/** Every third signal loses 1 %, the others win 1 %, 1.5 % or 2 %, one a day; those that win were open for 3 h, the others for 1 h. */
const profit = (n: number) => (n % 3 === 0 ? -1 : 1 + (n % 5) / 4)

const closed = (n: number): SignalInput => {
  const timestamp = BEGAN + n * DAY
  const [exit, held] = [profit(n), profit(n) > 0 ? 3 * HOUR : HOUR]
  const sell = n % 4 === 3
  return {
    id: `s${n}`, pair: 'BTCUSDT', signalType: sell ? 'SELL' : 'BUY', confidence: 60, entryPrice: 100, stopLoss: sell ? 102 : 98, takeProfit: sell ? 90 : 110,
    timestamp, outcome: exit > 0 ? 'SUCCESS' : 'FAILURE', exitPrice: sell ? 100 - exit : 100 + exit, closedAt: timestamp + held,
  }
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
const mean = (values: number[]) => sum(values) / values.length
const deviation = (values: number[]) => Math.sqrt(sum(values.map((value) => (value - mean(values)) ** 2)) / (values.length - 1))

test('ratios, streaks, times, months, BUY and SELL are those of a plain calculation', async () => {
  const loop = newLoop()
  const { feedbackTracker } = loop
  await feedbackTracker.recordSignals(Array.from({ length: 200 }, (_, n) => closed(n)))
  const { overall, bySymbol, bySignalType, byMonth, holdingTimes, exposure } = await feedbackTracker.getStats(undefined, undefined, 36_500)

  // Costs of 10 basis points; one signal a day, so a day's profit is a signal's.
  const net = Array.from({ length: 200 }, (_, n) => profit(n) - 0.1)
  expect(overall).toMatchObject({ closedSignals: 200, spanDays: 200, signalsWithStop: 200, longestSuccessStreak: 2, longestFailureStreak: 1, currentStreak: 1 })
  // The stop is 2 % away.
  expect(overall.averageR).toBeCloseTo(mean(net) / 2, 6)
  expect(overall.totalR).toBeCloseTo(sum(net) / 2, 4)
  expect(overall.sqn).toBeCloseTo((10 * mean(net)) / deviation(net), 5)
  const ofDay = mean(net) / deviation(net)
  expect(overall.sharpeRatio).toBeCloseTo(Math.sqrt(365) * ofDay, 9)
  const wide = 1.96 * Math.sqrt((365 * (1 + ofDay ** 2 / 2)) / 200)
  expect(overall.sharpeInterval!.low).toBeCloseTo(overall.sharpeRatio! - wide, 3)
  expect(overall.sharpeInterval!.high).toBeCloseTo(overall.sharpeRatio! + wide, 3)
  expect(overall.sortinoRatio).toBeCloseTo((Math.sqrt(365) * mean(net)) / Math.sqrt(mean(net.map((day) => Math.min(0, day) ** 2))), 9)
  // Losses come one at a time.
  expect(overall.calmarRatio).toBeCloseTo((365 * mean(net)) / 1.1, 9)
  expect(bySymbol.BTCUSDT).toEqual(overall)

  expect(Object.keys(bySignalType)).toEqual(['BUY', 'SELL'])
  expect([bySignalType.BUY!.closedSignals, bySignalType.SELL!.closedSignals]).toEqual([150, 50])
  expect(bySignalType.SELL!.totalProfitLoss).toBeCloseTo(sum(net.filter((_, n) => n % 4 === 3)) + 50 * 0.1, 9)
  // The first closed on the last day of January.
  expect(Object.entries(byMonth).map(([month, figures]) => [month, figures.closedSignals])).toEqual([
    ['2025-01', 1], ['2025-02', 28], ['2025-03', 31], ['2025-04', 30], ['2025-05', 31], ['2025-06', 30], ['2025-07', 31], ['2025-08', 18],
  ])
  expect(byMonth['2025-01']).toMatchObject({ successRate: 0, totalProfitLoss: -1, currentStreak: -1 })
  expect(byMonth['2025-01']!.totalR).toBeCloseTo(-0.55, 6)
  expect(holdingTimes).toEqual({
    wins: { signals: 133, meanMs: 3 * HOUR, medianMs: 3 * HOUR },
    losses: { signals: 67, meanMs: HOUR, medianMs: HOUR },
  })
  // 133 times 3 h and 67 times 1 h, since the first was given.
  const length = Date.parse(exposure!.until) - BEGAN
  expect(exposure!.from).toBe(new Date(BEGAN).toISOString())
  expect(Math.abs(Date.parse(exposure!.until) - Date.now())).toBeLessThan(60_000)
  expect(exposure!.openTimePercent).toBeCloseTo((100 * 466 * HOUR) / length, 9)
  expect(exposure!.averageOpen).toBeCloseTo((466 * HOUR) / length, 9)

  const { stdout } = await stats(loop.home)
  for (const said of ['In a row: at most 2 successes and 1 failure; now 1 success.', `Sharpe ratio of a year ${overall.sharpeRatio!.toFixed(2)} (95 % interval`, 'Time until closed: wins 3.0 h (median; mean 3.0 h); losses 1.0 h']) {
    expect(stdout).toContain(said)
  }
  expect(stdout).toMatch(/^2025-02 +28 /m)
  expect(stdout).toMatch(/^SELL +50 /m)
  expect(stdout).not.toContain('Not enough')
  const told = JSON.parse((await stats(loop.home, '--json')).stdout)
  expect([told.byMonth, told.bySignalType, told.holdingTimes]).toEqual(JSON.parse(JSON.stringify([byMonth, bySignalType, holdingTimes])))
  expect(told.exposure.openTimePercent).toBeCloseTo(exposure!.openTimePercent, 2)
})

test('below the count where they mean something, ratios are left out, and it is said why', async () => {
  const loop = newLoop()
  const { feedbackTracker } = loop
  const ratios = async () => {
    const { overall } = await feedbackTracker.getStats(undefined, undefined, 36_500)
    return ['sqn', 'sharpeRatio', 'sharpeInterval', 'sortinoRatio', 'calmarRatio'].filter((name) => name in overall)
  }
  expect((await feedbackTracker.getStats()).overall).toMatchObject({ spanDays: 0, currentStreak: 0, signalsWithStop: 0 })
  await feedbackTracker.recordSignals(Array.from({ length: 29 }, (_, n) => closed(n)))
  expect(await ratios()).toEqual([])
  expect((await stats(loop.home)).stdout).toContain('Not enough to tell: a system quality number 30 closed signals with a stop, a Sharpe ratio 90 days, a Calmar ratio 180 (there are 29 days')
  await feedbackTracker.recordSignals(Array.from({ length: 60 }, (_, n) => closed(n + 29)))
  expect(await ratios()).toEqual(['sqn'])
  await feedbackTracker.recordSignal(closed(89))
  expect(await ratios()).toEqual(['sqn', 'sharpeRatio', 'sharpeInterval', 'sortinoRatio'])
  await feedbackTracker.recordSignals(Array.from({ length: 90 }, (_, n) => closed(n + 90)))
  expect(await ratios()).toHaveLength(5)

  // Without a stop there is no R.
  await feedbackTracker.recordSignal({ ...closed(500), pair: 'ETHUSDT', stopLoss: null } as SignalInput)
  const { overall } = await feedbackTracker.getStats('ETHUSDT', undefined, 36_500)
  expect(overall).toMatchObject({ closedSignals: 1, signalsWithStop: 0 })
  expect('averageR' in overall || 'totalR' in overall).toBe(false)
})

test('signals that wait for their entry, and cancelled ones, count apart', async () => {
  const loop = newLoop()
  const { feedbackTracker } = loop
  const limit = (id: string, target: number): SignalInput => ({
    id, pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 95, entryType: 'limit', stopLoss: 90, takeProfits: [{ price: target }], timestamp: BEGAN,
  } as SignalInput)
  await feedbackTracker.recordSignals([limit('cancelled', 98), limit('filled', 104.5)])
  await feedbackTracker.onPrice('BTCUSDT', 99, BEGAN + HOUR)
  await feedbackTracker.onPrice('BTCUSDT', 95, BEGAN + 4 * HOUR)
  await feedbackTracker.onPrice('BTCUSDT', 104.5, BEGAN + 10 * HOUR)
  await feedbackTracker.recordSignal(limit('waits', 110))
  const { overall, timeToFill, holdingTimes } = await feedbackTracker.getStats(undefined, undefined, 36_500)
  expect(overall).toMatchObject({ pendingSignals: 1, cancelledSignals: 1, cancelledBy: { TARGET_BEFORE_ENTRY: 1 }, fillRate: 50, activeSignals: 0, totalSignals: 1, successRate: 100 })
  expect(timeToFill).toEqual({ signals: 1, meanMs: 4 * HOUR, medianMs: 4 * HOUR })
  expect(holdingTimes).toEqual({ wins: { signals: 1, meanMs: 6 * HOUR, medianMs: 6 * HOUR } })
  expect((await stats(loop.home)).stdout).toContain('Waiting for their entry: 1; cancelled: 1 (1 TARGET_BEFORE_ENTRY); 50.0 % of those that waited were entered, after 4.0 h (median).')
})

test('signals with several targets tell their parts', async () => {
  const loop = newLoop()
  const { feedbackTracker } = loop
  const halves = (id: string, hours: number): SignalInput => ({
    id, pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 98, takeProfits: [{ price: 102 }, { price: 104 }],
    stopRules: { breakEvenAfterTarget: 1 }, timestamp: BEGAN + hours * HOUR,
  })
  // In turn: to both targets, back to the entry after the first, and to the stop.
  const lives = [[102, 104], [102, 100], [98]]
  for (let n = 0; n < 12; n++) {
    await feedbackTracker.recordSignal(halves(`s${n}`, 4 * n))
    for (const [i, price] of lives[n % 3]!.entries()) await feedbackTracker.onPrice('BTCUSDT', price, BEGAN + (4 * n + i + 1) * HOUR)
  }
  await feedbackTracker.recordSignal({ ...halves('with its end', 100), outcome: 'SUCCESS', exitPrice: 103, closedAt: BEGAN + 101 * HOUR } as SignalInput)
  const { overall, profitByPart } = await feedbackTracker.getStats(undefined, undefined, 36_500)
  expect(profitByPart).toMatchObject({
    signals: 12,
    targets: [
      { number: 1, signals: 12, reached: 8, part: { signals: 8, averageShare: 50, averageProfitLoss: 1, totalProfitLoss: 8 } },
      { number: 2, signals: 12, reached: 4, part: { signals: 4, averageShare: 50, averageProfitLoss: 2, totalProfitLoss: 8 } },
    ],
    stop: { signals: 8, averageShare: 75, averageProfitLoss: -1, totalProfitLoss: -8 },
  })
  expect(profitByPart!.targets[0]!.reachedRate).toBeCloseTo(200 / 3, 9)
  expect(profitByPart).not.toHaveProperty('expiry')
  // All parts, and the signal that was recorded with its end.
  expect(overall.totalProfitLoss).toBeCloseTo(8 + 8 - 8 + 3, 9)
  expect(JSON.parse((await stats(loop.home, '--json')).stdout).profitByPart).toEqual(profitByPart)
  expect((await stats(loop.home)).stdout).toContain('Signals with several targets: target 1 reached by 8 of 12 (66.7 %): 50 % of a position each, +8.00 % in all; target 2 reached by 4 of 12')
})
