import { getEventListeners } from 'node:events'
import { mkdirSync, readFileSync, readdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import type { LoopEvent, TrainProgress } from '..'
import { HOUR, candles, storeCandles, type Row } from './helpers/candles'
import { failure, newHome, newLoop } from './helpers/home'

const ONE = { symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false } as const

const ready = (count = 500) => {
  const loop = newLoop()
  storeCandles(loop.home, candles(count))
  return loop
}

test('a training says what it came to, and writes it down', async () => {
  const loop = ready(700)
  const news: TrainProgress[] = []
  const results = await loop.train({ ...ONE, onProgress: (event) => news.push(event) })

  expect(results).toMatchObject({ total: 1, successful: 1, failed: 0, successRate: 100, skipped: [] })
  const [result] = results.results
  expect(result).toMatchObject({ symbol: 'BTCUSDT', timeframe: '1h', success: true })
  expect(result).not.toHaveProperty('error')
  const model = result!.model!
  expect(model).toMatchObject({ symbol: 'BTCUSDT', timeframe: '1h', candles: 700, missing: { warm_up: 96 } })
  expect(model.rows).toBeGreaterThan(500)
  expect(model.effectiveRows).toBeLessThan(model.rows)
  expect(Math.abs(Date.parse(model.trainedAt) - Date.now())).toBeLessThan(60_000)
  // Every label looks at most 24 bars ahead of what was stored.
  expect(Date.parse(model.horizon)).toBeLessThanOrEqual(Math.floor(Date.now() / HOUR) * HOUR)
  expect(model.importances.reduce((sum, one) => sum + one.share, 0)).toBeCloseTo(1, 6)
  expect(model.importances.map((one) => one.share)).toEqual(model.importances.map((one) => one.share).sort((a, b) => b - a))

  // Never worse than knowing nothing.
  for (const side of [model.buy, model.sell]) {
    expect(side.rows).toBeGreaterThan(0)
    expect(side.logLoss).toBeLessThanOrEqual(side.constantLogLoss + 0.005)
    expect(side.brier).toBeLessThanOrEqual(side.constantBrier + 0.005)
    expect(side.baseRate).toBeGreaterThan(1)
    expect(side.baseRate).toBeLessThan(99)
  }
  expect(model.logLoss).toBeCloseTo((model.buy.logLoss + model.sell.logLoss) / 2, 9)

  // News reach JavaScript through a queue of their own, maybe after the promise.
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(news.at(-1)).toEqual({ symbol: 'BTCUSDT', timeframe: '1h', phase: 'done', done: 0, steps: 0, finished: 1, total: 1 })
  const steps = news.filter((event) => event.phase === 'train')
  expect(steps.length).toBeGreaterThan(1)
  expect(steps.at(-1)!.done).toBe(steps.at(-1)!.steps)

  const written = JSON.parse(readFileSync(join(loop.home, 'models', 'training_results.json'), 'utf8'))
  expect(written).toMatchObject({ total_models: 1, successful: 1, failed: 0, success_rate: 100, skipped: [] })
  expect(Math.abs(Date.parse(written.timestamp) - Date.now())).toBeLessThan(60_000)
  expect(written.duration_seconds).toBeCloseTo(results.durationMs / 1000, 3)
  expect(written.results).toMatchObject([{ symbol: 'BTCUSDT', timeframe: '1h', success: true }])

  const entries = await loop.models()
  expect(entries).toHaveLength(1)
  expect(entries[0]!.shapes).toEqual([])
  expect(entries[0]!.path).toBe(join(loop.home, 'models', 'btcusdt_1h', 'v000001.model'))
  expect(entries[0]!.model).toEqual(model)
})

test('the same candles, configuration and seed give the same model, whatever the threads', async () => {
  const rows = candles(400)
  const models = await Promise.all(
    [1, 2].map(async (threads) => {
      const loop = newLoop({ threads })
      storeCandles(loop.home, rows)
      const { results } = await loop.train(ONE)
      return { ...results[0]!.model!, trainedAt: undefined }
    }),
  )
  expect(models[0]).toEqual(models[1])
})

test('one market fails alone, and says what would help', async () => {
  const loop = ready()
  // Some candles old, so that newer ones are asked for. Each bar before the last has no features yet.
  storeCandles(loop.home, candles(90, { end: Math.floor(Date.now() / HOUR - 5) * HOUR }), 'ethusdt_1h')
  const results = await loop.train({ symbols: ['BTCUSDT', 'DOGEUSDT', 'ETHUSDT'], timeframes: ['1h'] })
  expect(results).toMatchObject({ total: 3, successful: 1, failed: 2 })
  expect(results.successRate).toBeCloseTo(100 / 3, 9)
  const [trained, missing, short] = results.results
  expect(trained).toMatchObject({ symbol: 'BTCUSDT', success: true })
  expect(missing).toMatchObject({ symbol: 'DOGEUSDT', success: false, error: { code: 'ERR_EXCHANGE' } })
  // Both, since either would help.
  expect(missing!.error!.message).toContain('cannot reach the exchange')
  expect(missing!.error!.message).toContain('dogeusdt_1h.csv does not exist')
  expect(short).toMatchObject({ symbol: 'ETHUSDT', success: false, error: { code: 'ERR_NO_DATA' } })
  expect(short!.error!.message).toContain('90 candles give 0 labelled rows')
  // It was not trained at all.
  expect(short!.warning).toMatch(/^stored candles only: new ones could not be fetched: /)
  const written = JSON.parse(readFileSync(join(loop.home, 'models', 'training_results.json'), 'utf8'))
  expect(written).toMatchObject({ total_models: 3, successful: 1, failed: 2 })
  expect(written.results[1].error.code).toBe('ERR_EXCHANGE')
})

test('all symbols of a timeframe share one pooled model, also one without history', async () => {
  const loop = newLoop()
  const symbols = ['BTCUSDT', 'ETHUSDT', 'SOLUSDT']
  loop.configure({ trees: 20, symbols })
  storeCandles(loop.home, candles(900), 'btcusdt_1h')
  storeCandles(loop.home, candles(900), 'ethusdt_1h')
  storeCandles(loop.home, candles(150), 'solusdt_1h')
  const { results } = await loop.train({ symbols, timeframes: ['1h'], fetch: false })
  const models = results.map(({ model }) => model!)
  const [first, , short] = models
  expect(first!.pool).toMatch(/^[0-9a-f]{64}$/)
  expect(new Set(models.map(({ pool }) => pool)).size).toBe(1)
  expect(readdirSync(join(loop.home, 'models', 'pools'))).toEqual([`${first!.pool}.pool`])
  expect(first).toMatchObject({ poolSymbols: symbols, poolRows: models.reduce((sum, { rows }) => sum + rows, 0) })
  expect(first!.poolSkill).toEqual(short!.poolSkill)
  expect(first!.poolSkill.rows).toBeGreaterThan(first!.skill.rows)
  expect(first!.poolSkill.stretches).toBeGreaterThanOrEqual(8)
  for (const side of ['buy', 'sell'] as const) {
    expect(first!.families.reduce((sum, family) => sum + family[side], 0)).toBeCloseTo(1, 9)
  }
  expect(first!.families.map(({ family }) => family)).toEqual(['forest', 'boosting', 'linear'])

  // What few rows of its own say is not believed: its base rate is that of the pool, between those of the others.
  expect(short!.rows).toBeLessThan(60)
  const rates = await Promise.all(symbols.map(async (symbol) => (await loop.predict({ symbol, timeframe: '1h' })).baseRates.BUY))
  expect(rates[2]).toBeGreaterThan(Math.min(rates[0]!, rates[1]!) - 2)
  expect(rates[2]).toBeLessThan(Math.max(rates[0]!, rates[1]!) + 2)

  // Of one symbol alone, the others stay in the pool.
  const again = await loop.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })
  expect(again.results[0]!.model).toMatchObject({ poolSymbols: symbols, poolRows: first!.poolRows })
})

test('stored candles serve when the exchange does not, with a warning', async () => {
  const loop = newLoop()
  storeCandles(loop.home, candles(400, { end: Math.floor(Date.now() / HOUR - 5) * HOUR }))
  const { results } = await loop.train({ ...ONE, fetch: true })
  expect(results[0]).toMatchObject({ success: true })
  expect(results[0]!.warning).toContain('stored candles only: new ones could not be fetched')
})

test('retrain leaves young models alone', async () => {
  const loop = ready()
  const request = { mode: 'retrain', ...ONE } as const
  expect(await loop.train(request)).toMatchObject({ total: 1, successful: 1, skipped: [] })
  expect(await loop.train(request)).toMatchObject({ total: 0, successRate: 100, results: [], skipped: ['BTCUSDT 1h'] })
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect(await loop.train({ ...request, maxAgeHours: 0 })).toMatchObject({ total: 1, skipped: [] })
})

describe('an AbortSignal', () => {
  const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length

  test('aborted before stops the training, and trains nothing', async () => {
    const loop = ready()
    const signal = AbortSignal.abort()
    expect((await failure(() => loop.train({ ...ONE, signal }))).code).toBe('ERR_CANCELLED')
    expect(listeners(signal)).toBe(0)
    expect(await loop.models()).toEqual([])
  })

  test('aborted meanwhile stops it, and leaves no listener', async () => {
    const loop = ready(700)
    loop.configure({ trees: 2000 })
    const controller = new AbortController()
    // At the first news of it: a moment later it may be done.
    const training = loop.train({ ...ONE, signal: controller.signal, onProgress: () => controller.abort() })
    expect(listeners(controller.signal)).toBe(1)
    const started = Date.now()
    expect((await failure(() => training)).code).toBe('ERR_CANCELLED')
    expect(Date.now() - started).toBeLessThan(5_000)
    expect(listeners(controller.signal)).toBe(0)
    expect(await loop.models()).toEqual([])
  })

  test('never aborted leaves no listener', async () => {
    const controller = new AbortController()
    await ready().train({ ...ONE, signal: controller.signal })
    expect(listeners(controller.signal)).toBe(0)
  })

  test('of a refused training leaves no listener', async () => {
    const controller = new AbortController()
    await failure(() => ready().train({ ...ONE, signal: controller.signal, maxAgeHours: -1 }))
    await failure(() => ready().train({ ...ONE, signal: controller.signal, mode: 'x' as 'all' }))
    expect(listeners(controller.signal)).toBe(0)
  })

  test('stops a training that waits for candles', async () => {
    const loop = newLoop({ fetchCandles: () => new Promise<Row[]>(() => {}) })
    const controller = new AbortController()
    const training = loop.train({ ...ONE, fetch: true, signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => (timer = setTimeout(resolve, 3_000, 'still waiting')))
    expect(await Promise.race([training.catch((error) => error.code), late])).toBe('ERR_CANCELLED')
    clearTimeout(timer)
  })
})

test('results that cannot be written down are returned, with a warning and an event', async () => {
  const loop = ready()
  const heard: LoopEvent[] = []
  loop.onEvent((event) => heard.push(event))
  mkdirSync(join(loop.home, 'models', 'training_results.json'), { recursive: true })
  // A market is trained once, however often and however it is named.
  const results = await loop.train({ symbols: ['BTCUSDT', 'BTC/USDT', 'btcusdt'], timeframes: ['1h', '1h'], fetch: false })
  expect(results).toMatchObject({ total: 1, successful: 1, warning: expect.stringContaining('training_results.json') })
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(heard).toContainEqual(expect.objectContaining({ type: 'warning', message: results.warning }))
})

test('a damaged model file is told, and does not touch a loop that has the model in memory', async () => {
  const home = newHome()
  storeCandles(home, candles(400))
  const loop = newLoop({ home })
  await loop.train(ONE)
  const before = await loop.predict({ symbol: 'BTCUSDT' })
  const [entry] = await loop.models()
  truncateSync(entry!.path, 200)

  expect(await loop.predict({ symbol: 'BTCUSDT' })).toEqual(before)
  const fresh = newLoop({ home })
  const error = await failure(() => fresh.predict({ symbol: 'BTCUSDT' }))
  expect(error.code).toBe('ERR_MODEL_FILE')
  expect(error.message).toContain(entry!.path)
  expect(error.message).toContain('train it anew')
  expect(fresh.predictor('BTCUSDT', '1h').isModelAvailable()).toBe(false)
  const [damaged] = await fresh.models()
  expect(damaged).toMatchObject({ path: entry!.path, error: { code: 'ERR_MODEL_FILE' } })
  expect(damaged).not.toHaveProperty('model')
  // And it heals.
  expect(await fresh.train({ mode: 'retrain', ...ONE })).toMatchObject({ successful: 1 })
  expect(fresh.predictor('BTCUSDT', '1h').isModelAvailable()).toBe(true)
})
