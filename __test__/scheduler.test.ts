import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { LoopEvent, SchedulerConfiguration, TaskName } from '..'
import { HOUR, candles, storeCandles, type Row } from './helpers/candles'
import { ROOT, runNode, spawnKept } from './helpers/child'
import { startExchange, type Exchange } from './helpers/exchange'
import { NOWHERE, failure, newHome, newLoop, records } from './helpers/home'

const NAMES: TaskName[] = ['watch', 'fetch', 'retrain', 'update', 'evaluate']
/** Nothing runs by itself. */
const IDLE: SchedulerConfiguration = Object.fromEntries(NAMES.map((name) => [name, { enabled: false }]))

async function until(seen: () => boolean, ms = 15_000): Promise<void> {
  const end = Date.now() + ms
  while (!seen()) {
    if (Date.now() > end) throw new Error('it did not come')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Stores a candle that cannot be true, so that its market fails. */
function storeImpossible(home: string, market: string): void {
  storeCandles(home, [[Math.floor(Date.now() / HOUR - 2) * HOUR, 100, 90, 99, 95, 1]], market)
}

let exchange: Exchange
beforeAll(async () => {
  exchange = await startExchange({ symbols: ['BTCUSDT', 'ETHUSDT'], days: 40 })
})
afterAll(() => exchange.stop())

test('it starts at once, is one however often it is started, and stops', async () => {
  const loop = newLoop()
  const scheduler = loop.startScheduler(IDLE)
  expect(loop.startScheduler(IDLE).status().running).toBe(true)
  expect((await failure(() => loop.startScheduler({ timezone: 'Asia/Tokyo' }))).code).toBe('ERR_INVALID_ARGUMENT')
  await until(() => scheduler.status().leader)
  const { tasks, ...status } = scheduler.status()
  const ledBy = { process: process.pid, host: hostname(), since: expect.stringMatching(/^2\d{3}-.*Z$/) }
  expect(status).toEqual({ running: true, leader: true, ledBy, enabled: true, timezone: 'UTC', warnings: [] })
  expect(tasks.map(({ task, schedule }) => `${task} ${schedule}`)).toEqual([
    'watch every 10 s', 'fetch every 1 h', 'retrain daily at 02:00', 'update every 6 h', 'evaluate every 12 h',
  ])
  await scheduler.stop()
  await scheduler.stop()
  expect(scheduler.status()).toMatchObject({ running: false, leader: false })
  expect(scheduler.status()).not.toHaveProperty('ledBy')
  // With other options after it was stopped.
  const again = loop.startScheduler({ ...IDLE, timezone: 'Asia/Tokyo', fech: {} } as SchedulerConfiguration)
  expect(again.status().warnings).toEqual(['startScheduler(): unknown key `fech` is ignored'])
  await loop.close()
  expect(again.status().running).toBe(false)
  expect((await failure(() => loop.startScheduler())).code).toBe('ERR_CLOSED')
})

test('a fresh home gets its candles by itself, and events say so', async () => {
  const heard: LoopEvent[] = []
  const loop = newLoop({ exchangeUrl: exchange.url, onEvent: (event) => heard.push(event) })
  loop.configure({ symbols: ['BTCUSDT', 'ETHUSDT'], timeframes: ['1h'], historyDays: 20 })
  storeImpossible(loop.home, 'ethusdt_1h')
  const scheduler = loop.startScheduler({ ...IDLE, fetch: { intervalHours: 1 }, retry: { attempts: 1, baseSeconds: 0.1 } })
  const failures = () => heard.filter((event) => event.type === 'taskFailed')
  await until(() => failures().length === 2)
  expect(heard.map((event) => event.type)).toEqual([
    'taskStarted', 'taskProgress', 'taskProgress', 'taskFailed', 'taskStarted', 'taskProgress', 'taskFailed',
  ])
  const [first, second] = failures().map((event) => (event.type === 'taskFailed' ? event : undefined)!)
  expect(first).toMatchObject({ task: 'fetch', run: { outcome: 'failed', attempt: 1, done: 1, failed: [{ symbol: 'ETHUSDT', timeframe: '1h', code: 'ERR_INVALID_CANDLE' }] } })
  expect(Date.parse(first!.retryAt!)).toBeGreaterThan(Date.parse(first!.run.startedAt))
  // The second, of the one that failed only, was the last until it is due again.
  expect(second).toMatchObject({ run: { attempt: 2, done: 0 } })
  expect(second).not.toHaveProperty('retryAt')
  expect(existsSync(join(loop.home, 'data', 'btcusdt_1h.csv'))).toBe(true)
  const fetch = scheduler.status().tasks.find(({ task }) => task === 'fetch')!
  expect(fetch).toMatchObject({ running: false, attempt: 0, lastRun: second!.run })
  const due = Date.parse(fetch.nextRun!) - Date.now()
  expect(due).toBeGreaterThan(0.9 * HOUR)
  expect(due).toBeLessThanOrEqual(HOUR)
  await scheduler.stop()
})

test('each task runs when asked for', async () => {
  const loop = newLoop({ exchangeUrl: exchange.url })
  loop.configure({ symbols: ['BTCUSDT'], timeframes: ['1h'], historyDays: 35 })
  const scheduler = loop.startScheduler(IDLE)
  for (const task of ['fetch', 'retrain', 'update', 'evaluate'] as const) {
    const run = await scheduler.runOnce(task)
    expect([task, run.outcome, run.done, run.failed]).toEqual([task, 'finished', 1, []])
    expect(scheduler.status().tasks.find((one) => one.task === task)!.lastRun).toEqual(run)
  }
  expect(await loop.models()).toHaveLength(1)

  const { feedbackTracker } = loop
  const at = exchange.nowMs - 2 * HOUR
  const signal = { id: 'a', pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 1e9, stopLoss: 9e8, timestamp: at } as const
  await feedbackTracker.recordSignal(signal)
  expect(await scheduler.runOnce('watch')).toMatchObject({ outcome: 'finished', done: 1 })
  const { overall } = await feedbackTracker.getStats()
  expect(overall).toMatchObject({ closedSignals: 1, activeSignals: 0 })
  await scheduler.stop()
  // Also without the scheduler running.
  expect(await scheduler.runOnce('watch')).toMatchObject({ outcome: 'finished', done: 0 })
  for (const wrong of ['sleep', undefined, 5]) {
    const error = await failure(() => scheduler.runOnce(wrong as TaskName))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('must be one of watch, fetch') as string })
  }
}, 60_000)

test('candles of a callback close open signals, and one that is missing closes none', async () => {
  const end = Math.floor(Date.now() / HOUR) * HOUR
  const rows: Row[] = [...Array(10).keys()].map((i) => [end - (10 - i) * HOUR, 100, 101, 99, 100, 5])
  rows[6] = [rows[6]![0], 100, 101, 94, 96, 5]
  const asked: string[] = []
  let fails = true
  const loop = newLoop({
    fetchCandles: async ({ symbol, timeframe, since, until }) => {
      asked.push(`${symbol} ${timeframe}`)
      if (fails) throw new Error('the callback is tired')
      return rows.filter(([time]) => time >= since && time < until)
    },
  })
  const signal = { id: 'a', pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 95, takeProfit: 110, timestamp: rows[2]![0] } as const
  await loop.feedbackTracker.recordSignal(signal)
  const scheduler = loop.startScheduler(IDLE)
  const failed = await scheduler.runOnce('watch')
  expect(failed).toMatchObject({ outcome: 'failed', done: 0, failed: [{ symbol: 'BTCUSDT', timeframe: '1h', message: expect.stringContaining('the callback is tired') as string }] })
  fails = false
  expect(await scheduler.runOnce('watch')).toMatchObject({ outcome: 'finished', done: 1 })
  expect(new Set(asked)).toEqual(new Set(['BTCUSDT 1h']))
  expect(records(loop.home).get('a')).toMatchObject({ outcome: 'STOPPED_OUT', exit_price: 95, closed_at: new Date(rows[7]![0]).toISOString() })
})

test('stopping ends a training that runs', async () => {
  const loop = newLoop()
  loop.configure({ symbols: ['BTCUSDT'], timeframes: ['1h'], trees: 2000 })
  storeCandles(loop.home, candles(6000))
  const scheduler = loop.startScheduler(IDLE)
  const run = scheduler.runOnce('retrain')
  await until(() => scheduler.status().tasks.some(({ task, running }) => task === 'retrain' && running))
  expect((await failure(() => scheduler.runOnce('retrain'))).code).toBe('ERR_TASK_BUSY')
  const begin = Date.now()
  await scheduler.stop()
  expect((await run).outcome).toBe('cancelled')
  expect(Date.now() - begin).toBeLessThan(10_000)
}, 60_000)

test('a wrong configuration is refused by key, value and what is allowed', async () => {
  const loop = newLoop()
  writeFileSync(join(loop.home, 'scheduler_config.json'), JSON.stringify({ retrain: { time: '26:00' } }))
  const wrong = await failure(() => loop.startScheduler())
  expect(wrong).toMatchObject({ code: 'ERR_INVALID_CONFIG', message: expect.stringContaining('`retrain.time` must be a time of day such as "02:00"; got "26:00"') as string })
  const threshold = await failure(() => loop.startScheduler({ retrain: { time: '03:00' }, poorPerformance: { successThreshold: 400 } }))
  expect(threshold.message).toContain('`retrain.time`')
  writeFileSync(join(loop.home, 'scheduler_config.json'), JSON.stringify({ poor_performance: { success_threshold: 400 } }))
  expect((await failure(() => loop.startScheduler())).message).toContain('`poor_performance.success_threshold` must be')
  expect(existsSync(join(loop.home, 'scheduler'))).toBe(false)
})

test('a running scheduler keeps no process alive', async () => {
  const program = `
    const { startScheduler, SignalLoop, onEvent } = require('./index.js')
    onEvent(() => {})
    startScheduler()
    startScheduler({})
    setTimeout(() => console.log(startScheduler().status().leader), 1500)
  `
  const { code, stdout, stderr, ms } = await runNode(['-'], { input: program, env: { SIGNALLOOP_HOME: newHome(), SIGNALLOOP_EXCHANGE_URL: NOWHERE } })
  expect([code, stdout, stderr]).toEqual([0, 'true\n', ''])
  expect(ms).toBeLessThan(10_000)
})

test('Jest finds no open handles', async () => {
  const args = [join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js'), '--detectOpenHandles', '-t', 'it starts at once', __filename]
  const { code, stderr } = await runNode(args)
  expect(stderr).not.toContain('Jest has detected')
  expect([code, stderr]).toEqual([0, expect.stringContaining('1 passed')])
}, 60_000)

describe('on the command line', () => {
  const CLI = join(ROOT, 'bin', 'signalloop.js')
  const run = (home: string, ...args: string[]) =>
    runNode([CLI, 'scheduler', ...args], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: exchange.url } })

  function configured(more: object = {}): string {
    const home = newHome()
    writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: ['BTCUSDT'], timeframes: ['1h'], history_days: 20, trees: 10 }))
    writeFileSync(join(home, 'scheduler_config.json'), JSON.stringify(more))
    return home
  }

  test('next prints due times through a clock change', async () => {
    const home = configured({ timezone: 'Europe/Berlin', fetch: { enabled: false }, evaluate: { enabled: false }, update: { cron: '30 2 * * SUN' } })
    const span = ['next', '--from', '2026-03-28T00:00:00Z', '--until', '2026-03-30T12:00:00Z']
    expect(JSON.parse((await run(home, ...span, '--json')).stdout)).toEqual({
      timezone: 'Europe/Berlin',
      dueTimes: [
        { at: '2026-03-28T01:00:00.000Z', local: '2026-03-28T02:00:00+01:00', task: 'retrain' },
        { at: '2026-03-29T01:00:00.000Z', local: '2026-03-29T03:00:00+02:00', task: 'retrain' },
        { at: '2026-03-29T01:00:00.000Z', local: '2026-03-29T03:00:00+02:00', task: 'update' },
        { at: '2026-03-30T00:00:00.000Z', local: '2026-03-30T02:00:00+02:00', task: 'retrain' },
      ],
    })
    expect((await run(home, ...span)).stdout.split('\n')[1]).toBe('2026-03-29T01:00:00.000Z  2026-03-29T03:00:00+02:00  retrain')
  })

  test('once and status tell the truth', async () => {
    const home = configured()
    const fetched = await run(home, 'once', '--task', 'fetch')
    expect([fetched.code, fetched.stdout.trim().split('\n').at(-1)]).toEqual([0, expect.stringMatching(/^fetch finished: 4\d\d candles of 1 of 1 markets$/)])
    const { tasks, running } = JSON.parse((await run(home, 'status', '--json')).stdout)
    expect(running).toBe(false)
    expect(tasks[1]).toMatchObject({ task: 'fetch', lastRun: { outcome: 'finished', done: 1 } })
    expect((await run(home, 'status')).stdout).toMatch(/watch +every 10 s +as soon as a scheduler runs\nfetch +every 1 h +at 20.*Z, if a scheduler runs then\n.* finished: 4\d\d candles/)
    const configure = (...symbols: string[]) => writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols, timeframes: ['1h'], history_days: 20 }))
    configure('BTCUSDT', 'ETHUSDT')
    storeImpossible(home, 'ethusdt_1h')
    expect((await run(home, 'once', '--task', 'fetch')).code).toBe(3)
    // A symbol that is not traded is left out, unless there is no other.
    configure('BTCUSDT', 'NOPEUSDT')
    const without = await run(home, 'once', '--task', 'fetch')
    expect([without.code, without.stdout]).toEqual([0, expect.stringMatching(/^fetch finished: 0 candles of 1 of 2 markets; NOPEUSDT is not traded .*training_config\.json$/m)])
    configure('NOPEUSDT')
    expect((await run(home, 'once', '--task', 'fetch', '--json')).code).toBe(1)
    expect((await run(home, 'once', '--task', 'sleep')).code).toBe(2)
    writeFileSync(join(home, 'scheduler_config.json'), JSON.stringify({ enabled: false }))
    const off = await run(home, 'run')
    expect([off.code, off.stderr]).toEqual([1, expect.stringContaining('`enabled` is false')])
  }, 60_000)

  test.each(['SIGTERM', 'SIGINT'] as const)('run works until %s, and then ends gracefully', async (signal) => {
    // Only fetching: a training under way would have its own last word.
    const home = configured({ update: { enabled: false }, evaluate: { enabled: false }, retrain: { enabled: false } })
    const child = spawnKept(process.execPath, [CLI, 'scheduler', 'run'], {
      env: { ...process.env, SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: exchange.url },
    })
    let stdout = ''
    child.stdout.on('data', (text) => (stdout += text))
    await until(() => /fetch: 4\d\d candles of 1 of 1 markets/.test(stdout))
    const closed = once(child, 'close')
    child.kill(signal)
    expect(await closed).toEqual([0, null])
    expect(stdout.trim().split('\n').at(-1)).toBe('Stopping')
    const record = JSON.parse(readFileSync(join(home, 'scheduler', 'fetch.json'), 'utf8'))
    expect(record).toMatchObject({ attempt: 0, last: { outcome: 'finished' } })
  }, 60_000)

  test('SIGTERM in the midst of a training ends it, writes that down, and frees its lock', async () => {
    const off = { enabled: false }
    const home = newHome()
    // Half a minute of training, at once, with the stored candles.
    writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: ['BTCUSDT'], timeframes: ['1h'], trees: 2000 }))
    writeFileSync(join(home, 'scheduler_config.json'), JSON.stringify({ watch: off, fetch: off, update: off, evaluate: off, retrain: { interval_hours: 5 } }))
    storeCandles(home, candles(6000))
    const env = { ...process.env, SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE }
    const child = spawnKept(process.execPath, [CLI, 'scheduler', 'run'], { env })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (text) => (stdout += text))
    child.stderr.on('data', (text) => (stderr += text))
    await until(() => stdout.includes('retrain begins'))
    const seen = JSON.parse((await runNode([CLI, 'scheduler', 'status', '--json'], { env })).stdout)
    expect(seen).toMatchObject({ running: false, ledBy: { process: child.pid, host: hostname(), since: expect.stringMatching(/Z$/) } })
    const { since } = seen.ledBy
    expect((await runNode([CLI, 'scheduler', 'status'], { env })).stdout).toContain(`Runs in process ${child.pid} on ${hostname()} since ${since}\n`)
    expect(seen.tasks[2]).toMatchObject({ task: 'retrain', running: true, attempt: 1 })
    const busy = await runNode([CLI, 'scheduler', 'once', '--task', 'retrain', '--json'], { env })
    expect([busy.code, busy.stdout + busy.stderr]).toEqual([1, expect.stringContaining('ERR_TASK_BUSY')])
    const [closed, begin] = [once(child, 'close'), Date.now()]
    child.kill('SIGTERM')
    expect([await closed, stderr]).toEqual([[0, null], ''])
    expect(Date.now() - begin).toBeLessThan(15_000)
    expect(stdout).toContain('retrain cancelled: ')
    const record = JSON.parse(readFileSync(join(home, 'scheduler', 'retrain.json'), 'utf8'))
    expect(record).toMatchObject({ attempt: 1, last: { outcome: 'cancelled' } })
    const after = JSON.parse((await runNode([CLI, 'scheduler', 'status', '--json'], { env })).stdout)
    expect(after.tasks[2]).toMatchObject({ running: false, lastRun: { outcome: 'cancelled' } })
    expect(after).not.toHaveProperty('ledBy')
    const told = (await runNode([CLI, 'scheduler', 'status'], { env })).stdout
    expect(told).toMatch(/^No scheduler is running, .*`signalloop scheduler run`/)
    expect(told).toMatch(/^retrain +every 5 h +(at 2\d{3}-.*Z, if a scheduler runs then|as soon as a scheduler runs)$/m)
    expect(told).not.toMatch(/\bdue\b/)
  }, 60_000)
})
