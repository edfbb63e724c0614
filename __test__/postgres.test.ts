import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SignalLoop, type LoopEvent } from '..'
import { HOUR, candles, storeCandles, type Row } from './helpers/candles'
import { ROOT, runNode } from './helpers/child'
import { newHome, newLoop, NOWHERE } from './helpers/home'
import { startPostgres, type Postgres } from './helpers/postgres'

let postgres: Postgres | undefined

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres?.stop())

async function until(seen: () => boolean): Promise<void> {
  const end = Date.now() + 20_000
  while (!seen()) {
    if (Date.now() > end) throw new Error('it did not come')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A test against the database; it says that it did not run where there is none. */
const withPostgres = (name: string, run: (url: string) => Promise<void>) =>
  test(name, async () => {
    if (!postgres) return console.warn(`did not run: ${name}: there is no PostgreSQL`)
    await run(postgres.url)
  }, 60_000)

const signal = (id: string) => ({
  id, pair: 'BTC/USDT', signalType: 'BUY' as const, confidence: 60, entryPrice: 100, stopLoss: 95, takeProfit: 110, timestamp: Date.now() - 60_000,
})

const signalloop = (args: string[], env: NodeJS.ProcessEnv) =>
  runNode([join(ROOT, 'bin', 'signalloop.js'), ...args], { env: { SIGNALLOOP_EXCHANGE_URL: NOWHERE, ...env } })

withPostgres('two homes share the signals of a database, and a price closes each once', async (url) => {
  const homes = [newHome(), newHome()] as const
  const [one, two] = [newLoop({ home: homes[0], store: url }).feedbackTracker, newLoop({ home: homes[1], store: url }).feedbackTracker]
  await Promise.all(Array.from({ length: 100 }, (_, n) => (n % 2 ? one : two).recordSignal(signal(`shared-${n}`))))
  expect((await one.getStats()).overall).toMatchObject({ totalSignals: 100, activeSignals: 100 })
  await expect(two.recordSignal({ ...signal('shared-1'), confidence: 1 })).rejects.toMatchObject({ code: 'ERR_SIGNAL_CONFLICT' })
  const closed = (await Promise.all([one.onPrice('BTC/USDT', 111), two.onPrice('BTC/USDT', 111)])).flat()
  expect(new Set(closed.map(({ id }) => id)).size).toBe(100)
  expect(closed).toHaveLength(100)
  expect((await two.getStats()).overall).toMatchObject({ closedSignals: 100, tookProfit: 100 })
  expect(homes.some((home) => existsSync(join(home, 'feedback')))).toBe(false)
})

withPostgres('the command line copies a home into a database and back, and finds it by its environment', async (url) => {
  const home = newHome()
  const own = newLoop({ home, store: 'files' })
  await own.feedbackTracker.recordSignals([signal('copied-1'), signal('copied-2')])
  const place = `${url}&options=-c%20search_path%3Dpublic`
  const copy = (from: string, to: string, at: string) => signalloop(['store', 'copy', '--from', from, '--to', to, '--json'], { SIGNALLOOP_HOME: at })
  const there = await copy('files', place, home)
  expect([there.code, JSON.parse(there.stdout)]).toEqual([0, expect.objectContaining({ imported: 2, refused: [] })])
  expect(JSON.parse((await copy('files', place, home)).stdout)).toMatchObject({ imported: 0, known: 2 })
  const other = newHome()
  const stats = await signalloop(['stats', '--json'], { SIGNALLOOP_HOME: other, SIGNALLOOP_STORE: place })
  const total = JSON.parse(stats.stdout).overall.totalSignals
  expect(total).toBeGreaterThanOrEqual(2)
  expect(JSON.parse((await copy(place, 'files', other)).stdout)).toMatchObject({ imported: total, refused: [] })
  const doctor = await signalloop(['doctor', '--home', other, '--store', place], {})
  expect(doctor.stdout).toMatch(/postgres:\/\/signalloop@127\.0\.0\.1:\d+\/postgres/)
  expect(doctor.stdout + doctor.stderr).not.toContain('of%2F')
})

withPostgres('a model trained on one home is served by another, rolled back there, and copied back', async (url) => {
  const place = `${url}&options=-c%20search_path%3Dpublic`
  const market = { symbol: 'BTCUSDT', timeframe: '1h' } as const
  const [home, other] = [newHome(), newHome()]
  storeCandles(home, candles(2000))
  storeCandles(other, candles(2000))
  const [one, two] = [newLoop({ home, store: place }), newLoop({ home: other, store: place })]
  const train = async () => (await one.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })).results[0]
  const served = async (version: number) => {
    const begun = Date.now()
    while ((await two.predict(market)).modelVersion !== version) expect(Date.now() - begun).toBeLessThan(1000)
  }
  expect(await train()).toMatchObject({ promoted: true, trial: { version: 1 } })
  // Asked, it never waits; soon it knows.
  const predictor = newLoop({ home: newHome(), store: place }).predictor('BTCUSDT', '1h')
  expect(predictor.isModelAvailable()).toBe(false)
  await until(() => predictor.isModelAvailable())
  expect((await two.predict(market)).modelVersion).toBe(1)
  expect(await train()).toMatchObject({ promoted: true, trial: { version: 2 } })
  await served(2)
  expect(await one.rollback(market)).toMatchObject({ from: 2, to: 1 })
  await served(1)
  const [entry] = await two.models()
  expect(entry).toMatchObject({ version: 1, trials: [{ version: 1 }, { version: 2 }], rollbacks: [{ to: 1 }] })
  expect(entry!.path).toMatch(/^postgres:.*signalloop_models\/btcusdt_1h\/v000001\.model$/)
  expect((await two.report()).problems).toEqual([])
  expect(existsSync(join(home, 'models', 'btcusdt_1h'))).toBe(false)
  const copied = await signalloop(['store', 'copy', '--from', place, '--to', 'files', '--json'], { SIGNALLOOP_HOME: other })
  expect(JSON.parse(copied.stdout).models).toEqual({ copied: ['btcusdt_1h'], known: [], refused: [] })
  expect((await newLoop({ home: other, store: 'files' }).predict(market)).modelVersion).toBe(1)
})

withPostgres('of two schedulers one leads, both train, and status never waits', async (url) => {
  const place = `${url}&options=-c%20search_path%3Dpublic`
  const trained = [0, 0]
  const loops = [0, 1].map((n) => {
    const onEvent = (event: LoopEvent) => (trained[n]! += event.type === 'modelPromoted' ? 1 : 0)
    const loop = newLoop({ store: place, threads: 1, onEvent })
    const symbols = Array.from({ length: 3 }, (_, n) => `COIN${n}USDT`)
    // A timeframe for each of the two.
    loop.configure({ symbols, timeframes: ['1h', '15m'], trees: 300 })
    const hours = candles(3000)
    const end = hours.at(-1)![0] + HOUR
    const quarters = hours.map(([, ...rest], i): Row => [end - ((hours.length - i) * HOUR) / 4, ...rest])
    for (const symbol of symbols) {
      storeCandles(loop.home, hours, `${symbol.toLowerCase()}_1h`)
      storeCandles(loop.home, quarters, `${symbol.toLowerCase()}_15m`)
    }
    return loop
  })
  const off = { enabled: false }
  const idle = { watch: off, fetch: off, retrain: off, update: off, evaluate: off }
  const schedulers = loops.map((loop) => loop.startScheduler(idle))
  await until(() => schedulers.filter((scheduler) => scheduler.status().leader).length === 1)
  await until(() => schedulers.some((scheduler) => /is held by .* process \d+/.test(scheduler.status().standingBy ?? '')))
  const leader = schedulers.findIndex((scheduler) => scheduler.status().leader)
  // By the one that leads, so that the other is free to help.
  const run = schedulers[leader]!.runOnce('retrain')
  await expect(run).resolves.toMatchObject({ outcome: 'finished', done: 6, failed: [] })
  await until(() => trained[0]! + trained[1]! === 6)
  expect(Math.min(...trained)).toBeGreaterThan(0)
  await until(() => schedulers[1 - leader]!.status().tasks.find(({ task }) => task === 'retrain')!.lastRun?.done === 6)
  await schedulers[leader]!.stop()
  await until(() => schedulers[1 - leader]!.status().leader)
})

test('a scheduler without its database stands by and says why, and holds nothing up', async () => {
  const loop = newLoop({ store: 'postgres://me:hunter2@127.0.0.1:9/x?sslmode=disable' })
  const scheduler = loop.startScheduler()
  await until(() => /127\.0\.0\.1:9/.test(scheduler.status().standingBy ?? ''))
  const begin = performance.now()
  for (let n = 0; n < 20; n++) {
    expect(scheduler.status()).toMatchObject({ running: true, leader: false })
    expect(JSON.stringify(scheduler.status())).not.toContain('hunter2')
  }
  expect(performance.now() - begin).toBeLessThan(500)
  await expect(scheduler.runOnce('fetch')).rejects.toMatchObject({ code: 'ERR_STORE', message: expect.not.stringContaining('hunter2') })
  await scheduler.stop()
}, 30_000)

test('a database that is not there rejects without the password, and a wrong URL is refused', async () => {
  const loop = newLoop({ store: 'postgres://me:hunter2@127.0.0.1:9/x?sslmode=disable' })
  const failed = loop.feedbackTracker.getStats()
  let ticks = 0
  const timer = setInterval(() => (ticks += 1), 20)
  await expect(failed).rejects.toMatchObject({ code: 'ERR_STORE', message: expect.stringContaining('postgres://me@127.0.0.1:9/x') })
  clearInterval(timer)
  // However many ask at once, and while the store was never opened, each hears of it within the 10 seconds that a call has.
  const begun = performance.now()
  const records = await Promise.allSettled(Array.from({ length: 3_000 }, (_, n) => loop.feedbackTracker.recordSignal(signal(`queued-${n}`))))
  expect(performance.now() - begun).toBeLessThan(13_000)
  expect(new Set(records.map((record) => (record as PromiseRejectedResult).reason?.code))).toEqual(new Set(['ERR_STORE']))
  // The event loop went on meanwhile.
  expect(ticks).toBeGreaterThan(50)
  await expect(failed).rejects.not.toMatchObject({ message: expect.stringContaining('hunter2') })
  for (const store of ['mysql://me:hunter2@x/y', 'hunter2', 'postgres://me:hunter2@x/y?sslmode=prefer']) {
    expect(() => new SignalLoop({ home: newHome(), store })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message: expect.not.stringContaining('hunter2') }))
  }
}, 40_000)
