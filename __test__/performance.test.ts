import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { LoopEvent, SignalInput, SignalLoop } from '..'
import { HOUR, candles, storeCandles } from './helpers/candles'
import { ROOT, runNode } from './helpers/child'
import { failure, newHome, newLoop } from './helpers/home'

const AGO = Date.now() - HOUR

const buy = (id: string, timestamp = Date.now(), more: object = {}): SignalInput => ({
  id, pair: 'BTCUSDT', signalType: 'BUY', confidence: 70, entryPrice: 100, stopLoss: 98, takeProfit: 104, timestamp, ...more,
})

let last = 0

/** Closes one signal after the other: `+` at its target, `-` at its stop. Each is given when the one before has closed, or all at a time. */
async function live({ feedbackTracker }: SignalLoop, pattern: string, timestamp?: number, more: object = {}): Promise<void> {
  for (const end of pattern) {
    const id = `s${last++}`
    await feedbackTracker.recordSignal(buy(id, timestamp, more))
    const outcome = end === '+' ? 'TOOK_PROFIT' : 'STOPPED_OUT'
    expect(await feedbackTracker.updateOutcome({ signalId: id, outcome })).toBe(true)
  }
}

async function until(seen: () => boolean, ms = 20_000): Promise<void> {
  const end = Date.now() + ms
  while (!seen()) {
    if (Date.now() > end) throw new Error('it did not come')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('what is followed and not traded is no reason for conservative mode, nor for an evaluation', async () => {
  const heard: LoopEvent[] = []
  const loop = newLoop({ onEvent: (event) => heard.push(event) })
  const modes = () => heard.filter((event) => event.type === 'conservativeMode')
  await live(loop, '-'.repeat(20), undefined, { taken: false })
  await live(loop, '+++++++++')
  await new Promise((resolve) => setTimeout(resolve, 1000))
  expect([modes(), (await loop.feedbackTracker.getStats()).conservativeMode.active]).toEqual([[], false])
  const { early, recent } = await loop.evaluate({ symbol: 'BTCUSDT' })
  expect([early.closedSignals + recent.closedSignals, early.successRate, recent.successRate]).toEqual([9, 100, 100])
  // The same that were traded are one.
  await live(loop, '-'.repeat(20))
  await until(() => modes().length >= 2)
})

test('nine bad signals are nothing, ten are conservative mode, ten good ones end it', async () => {
  const heard: LoopEvent[] = []
  const loop = newLoop({ onEvent: (event) => heard.push(event) })
  const modes = () => heard.filter((event) => event.type === 'conservativeMode')
  const mode = async () => (await loop.feedbackTracker.getStats('BTCUSDT', '1h')).conservativeMode

  await live(loop, '+--------')
  await new Promise((resolve) => setTimeout(resolve, 1000))
  expect(await mode()).toEqual({ active: false, scopes: [] })
  await live(loop, '-')
  await until(() => modes().length >= 2)
  expect(modes()).toMatchObject([
    { active: true, scope: 'home', cause: 'entered', closedSignals: 10, successRate: 10 },
    { active: true, scope: 'BTCUSDT 1h', cause: 'entered', reason: '1 of 10 closed signals succeeded (10.0 %)' },
  ])
  const active = await mode()
  expect(active).toMatchObject({ active: true, scopes: ['BTCUSDT 1h'], reason: '1 of 10 closed signals succeeded (10.0 %)' })
  expect(Math.abs(Date.parse(active.since!) - Date.now())).toBeLessThan(60_000)
  // Another market is cautious with the home.
  expect((await loop.feedbackTracker.getStats('ETHUSDT', '1h')).conservativeMode).toMatchObject({ active: true })
  // Beside the success rate stands the rate that pays.
  const { overall } = await loop.feedbackTracker.getStats()
  expect(overall.successRate).toBe(10)
  expect(overall.breakEvenRate).toBeCloseTo(35, 9)

  await live(loop, '++++++++++')
  await until(() => modes().length >= 4)
  expect(modes().slice(2)).toMatchObject([
    { active: false, scope: 'home', cause: 'recovered' },
    { active: false, scope: 'BTCUSDT 1h', cause: 'recovered' },
  ])
  expect(await mode()).toEqual({ active: false, scopes: [] })
}, 60_000)

test('signals that are under way together are not so many proofs', async () => {
  const heard: LoopEvent[] = []
  const loop = newLoop({ onEvent: (event) => heard.push(event) })
  await live(loop, '--------------------', AGO)
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(heard.filter((event) => event.type === 'conservativeMode')).toEqual([])
  const { verdict, early, recent } = await loop.evaluate({ symbol: 'BTCUSDT', timeframe: '1h' })
  expect(verdict).toBe('not enough evidence')
  expect(early).toMatchObject({ closedSignals: 10, successRate: 0 })
  expect(recent.effectiveSignals).toBeLessThan(2)
}, 60_000)

test('a market with a model is trained anew, once, in the background', async () => {
  const home = newHome()
  storeCandles(home, candles(400))
  const heard: LoopEvent[] = []
  const loop = newLoop({ home, fetchCandles: async () => [], onEvent: (event) => heard.push(event) })
  await loop.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })
  await live(loop, '-----------')
  const trainings = () => heard.filter((event) => event.type === 'emergencyTraining')
  await until(() => trainings().length >= 2, 60_000)
  expect(trainings()).toMatchObject([
    { phase: 'started', markets: ['BTCUSDT 1h'] },
    { phase: 'finished', markets: ['BTCUSDT 1h'], trained: ['BTCUSDT 1h'] },
  ])
  await live(loop, '-----------')
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(trainings()).toHaveLength(2)
}, 120_000)

test('it can be judged by expectancy, and without training', async () => {
  const home = newHome()
  storeCandles(home, candles(400))
  const heard: LoopEvent[] = []
  const loop = newLoop({ home, onEvent: (event) => heard.push(event) })
  loop.configure({ poorPerformance: { rule: 'expectancy', emergencyTraining: false } })
  await loop.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })
  // 36 % of successes at 2:1 earn more than the costs.
  await live(loop, '++++-------')
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(heard.filter((event) => event.type === 'conservativeMode')).toEqual([])
  await live(loop, '-----------')
  await until(() => heard.some((event) => event.type === 'conservativeMode'))
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect(heard.filter((event) => event.type === 'emergencyTraining')).toEqual([])
  const { reason } = (await loop.feedbackTracker.getStats()).conservativeMode
  expect(reason).toMatch(/^\d+ closed signals earned -\d\.\d+ % on average after costs$/)
  expect((await failure(() => loop.configure({ poorPerformance: { minSignals: 0 } }))).code).toBe('ERR_INVALID_CONFIG')
}, 60_000)

test('evaluate tells whether it got better, with its evidence', async () => {
  const loop = newLoop()
  const market = { symbol: 'BTC/USDT', timeframe: '1h' } as const
  expect(await loop.evaluate(market)).toMatchObject({ verdict: 'not enough evidence', early: { closedSignals: 0 } })
  await live(loop, '+---------' + '+++++++++-')
  const found = await loop.evaluate(market)
  expect(found).toMatchObject({
    symbol: 'BTCUSDT',
    timeframe: '1h',
    early: { closedSignals: 10, effectiveSignals: 10, successfulSignals: 1, successRate: 10, breakEvenSource: 'levels' },
    recent: { closedSignals: 10, successfulSignals: 9, successRate: 90 },
    successDifference: 80,
    verdict: 'improved',
  })
  // Wins of 4, losses of 2, costs of 0.1: (1 + 0.05) / (1 + 2).
  expect(found.early.breakEvenRate).toBeCloseTo(35, 9)
  expect(found.early.expectancy).toBeCloseTo(-1.5, 9)
  expect(found.expectancyDifference).toBeCloseTo(4.8, 9)
  expect(found.differenceInterval!.low).toBeCloseTo(36.99, 1)
  expect(found.differenceInterval!.high).toBeCloseTo(91.61, 1)
  const error = await failure(() => loop.evaluate({} as { symbol: string }))
  expect(error.code).toBe('ERR_INVALID_ARGUMENT')

  const args = ['learn', '--home', loop.home, '--symbol', 'BTCUSDT', '--timeframe', '1h', '--mode', 'evaluate', '--json']
  const { code, stdout } = await runNode([join(ROOT, 'bin', 'signalloop.js'), ...args])
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toEqual(found)
}, 60_000)

test('learn --mode retrain trains the one market', async () => {
  const home = newHome()
  storeCandles(home, candles(400))
  const args = ['learn', '--home', home, '--symbol', 'BTCUSDT', '--timeframe', '1h', '--mode', 'retrain', '--json']
  const env = { SIGNALLOOP_EXCHANGE_URL: 'http://127.0.0.1:9' }
  const { code, stdout } = await runNode([join(ROOT, 'bin', 'signalloop.js'), ...args], { env })
  expect([code, (JSON.parse(stdout) as { total_models: number }).total_models]).toEqual([0, 1])
  expect(existsSync(join(home, 'models', 'btcusdt_1h'))).toBe(true)
}, 120_000)
