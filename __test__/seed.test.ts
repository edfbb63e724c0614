// Everything the old Python system did, word by word: its two configuration files as printed in its description, each of its commands, and
// their output. `docs/migration.md` has the tables.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SignalLoop, type SchedulerStatus } from '..'
import { ROOT, runNode, type Ended } from './helpers/child'
import { startExchange, type Exchange } from './helpers/exchange'
import { failure, newHome, newLoop } from './helpers/home'

const TRAINING_CONFIG = `{
  "symbols": [
    "BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT"
  ],
  "timeframes": ["1h", "4h"],
  "days_history": 90,
  "retrain_interval_hours": 24,
  "parallel_training": 3
}
`

const SCHEDULER_CONFIG = `{
  "enabled": true,
  "schedules": {
    "fetch_data": {
      "interval": "1h",
      "symbols": ["BTCUSDT", "ETHUSDT"]
    },
    "retrain_full": {
      "interval": "24h",
      "time": "02:00"
    },
    "incremental_update": {
      "interval": "6h"
    }
  },
  "auto_retrain_on_poor_performance": true,
  "poor_performance_threshold": 40
}
`

/** Of the ten symbols, those that are traded still. */
const TRADED = ['BTCUSDT', 'ETHUSDT', 'BNBUSDT', 'SOLUSDT', 'XRPUSDT', 'ADAUSDT', 'DOGEUSDT', 'DOTUSDT', 'AVAXUSDT']

let exchange: Exchange
beforeAll(async () => {
  exchange = await startExchange({ symbols: TRADED, days: 400 })
})
afterAll(() => exchange.stop())

const signalloop = (home: string, ...args: string[]): Promise<Ended> =>
  runNode([join(ROOT, 'bin', 'signalloop.js'), ...args], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: exchange.url } })

function homeWith(training?: string, scheduler?: string): string {
  const home = newHome()
  if (training !== undefined) writeFileSync(join(home, 'training_config.json'), training)
  if (scheduler !== undefined) writeFileSync(join(home, 'scheduler_config.json'), scheduler)
  return home
}

/** A home with both files, and forests so small that a training is quick. */
const quickHome = () => homeWith(TRAINING_CONFIG.replace('3\n}', '3,\n  "trees": 10\n}'), SCHEDULER_CONFIG)

const candleFiles = (home: string) => readdirSync(join(home, 'data')).filter((name) => name.endsWith('.csv')).sort()

describe('both configuration files, as they were printed', () => {
  test('are in force without a warning, and schedule as described', async () => {
    const home = homeWith(TRAINING_CONFIG, SCHEDULER_CONFIG)
    const loop = newLoop({ home, exchangeUrl: exchange.url })
    expect(loop.warnings).toEqual([])
    const scheduler = loop.startScheduler()
    const { enabled, warnings, tasks } = scheduler.status()
    await scheduler.stop()
    expect([enabled, warnings]).toEqual([true, []])
    expect(tasks.map(({ task, enabled, schedule, symbols }) => ({ task, enabled, schedule, symbols }))).toEqual([
      { task: 'watch', enabled: true, schedule: 'every 10 s' },
      { task: 'fetch', enabled: true, schedule: 'every 1 h', symbols: ['BTCUSDT', 'ETHUSDT'] },
      { task: 'retrain', enabled: true, schedule: 'daily at 02:00' },
      { task: 'update', enabled: true, schedule: 'every 6 h' },
      { task: 'evaluate', enabled: true, schedule: 'every 12 h' },
    ])
    await loop.close()

    const next = await signalloop(home, 'scheduler', 'next', '--from', '2026-03-01T00:00:00Z', '--until', '2026-03-03T00:00:00Z', '--json')
    expect([next.code, next.stderr]).toEqual([0, ''])
    const { dueTimes } = JSON.parse(next.stdout) as { dueTimes: { at: string; task: string }[] }
    const due = (task: string) => dueTimes.filter((one) => one.task === task).map(({ at }) => at.slice(5, 16))
    expect(due('fetch')).toHaveLength(47)
    expect(due('retrain')).toEqual(['03-01T02:00', '03-02T02:00'])
    expect(due('update')).toEqual(['03-01T06:00', '03-01T12:00', '03-01T18:00', '03-02T00:00', '03-02T06:00', '03-02T12:00', '03-02T18:00'])
    expect(due('evaluate')).toEqual(['03-01T12:00', '03-02T00:00', '03-02T12:00'])
  }, 60_000)

  test('train all ten models, and print what was printed', async () => {
    const home = homeWith(TRAINING_CONFIG, SCHEDULER_CONFIG)
    const { code, stdout, stderr } = await signalloop(home, 'train', '--mode', 'all')
    expect([code, stderr]).toEqual([0, ''])
    for (const market of ['BTCUSDT 1h', 'BTCUSDT 4h', 'ETHUSDT 1h', 'ETHUSDT 4h', 'XRPUSDT 4h']) {
      expect(stdout).toMatch(new RegExp(`^Training ${market}\\.\\.\\. ✓ `, 'm'))
    }
    // Trained does not mean that it found something.
    const nothing = stdout.match(/^Training .*✓ knows nothing yet: it says the base rate/gm)?.length ?? 0
    expect(stdout).toMatch(/^Found: \S+ of 10 models knows? /m)
    expect(stdout.trim().split('\n').at(-1)).toBe('Success: 10/10 models trained (100%)')
    expect(stdout.match(/^90 days of candles, as configured: .* showed no skill; leave `history_days` \(`days_history`\) out to use all history$/gm)).toHaveLength(1)
    expect(candleFiles(home)).toHaveLength(10)
    // 90 days, as configured.
    const [first] = readFileSync(join(home, 'data', 'btcusdt_1h.csv'), 'utf8').split('\n').slice(1)
    expect((exchange.nowMs - Date.parse(`${first!.slice(0, 19).replace(' ', 'T')}Z`)) / 86_400_000).toBeCloseTo(90, 0)
    // 24 hours, as configured: all are younger.
    expect((await signalloop(home, 'train', '--mode', 'retrain')).stdout).toContain('10 models are recent enough')
    // The results that were looked at with `cat`.
    const results = JSON.parse(readFileSync(join(home, 'models', 'training_results.json'), 'utf8')) as Record<string, unknown>
    expect(results).toMatchObject({ total_models: 10, with_skill: 10 - nothing })
  }, 120_000)

  test('a task works on its own symbols, and a threshold of before is the threshold', async () => {
    const home = quickHome()
    const fetched = await signalloop(home, 'scheduler', '--mode', 'once', '--task', 'fetch')
    expect([fetched.code, fetched.stderr, fetched.stdout]).toEqual([0, '', expect.stringMatching(/^fetch finished: \d+ candles of 4 of 4 markets$/m)])
    expect(candleFiles(home)).toEqual(['btcusdt_1h.csv', 'btcusdt_4h.csv', 'ethusdt_1h.csv', 'ethusdt_4h.csv'])
    expect((await signalloop(home, 'scheduler', 'status')).stdout).toMatch(/^fetch +every 1 h .* only BTCUSDT, ETHUSDT$/m)
    // Three of ten succeeded: below 40 %, and not below 20 %.
    for (const [threshold, active] of [[40, true], [20, false]] as const) {
      const home = homeWith(TRAINING_CONFIG, SCHEDULER_CONFIG.replace('threshold": 40', `threshold": ${threshold}`))
      // Also in a backend that starts no scheduler.
      const loop = newLoop({ home, exchangeUrl: exchange.url })
      const tracker = loop.feedbackTracker
      for (let i = 0; i < 10; i++) {
        const signal = { id: `s${i}`, pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 100, timestamp: Date.now() } as const
        await tracker.recordSignal(signal)
        await tracker.updateOutcome({ signalId: signal.id, outcome: i < 3 ? 'SUCCESS' : 'FAILURE', exitPrice: i < 3 ? 101 : 99 })
      }
      await loop.startScheduler({ enabled: false }).runOnce('evaluate')
      expect([threshold, (await tracker.getStats()).conservativeMode.active]).toEqual([threshold, active])
      await loop.close()
    }
  }, 60_000)

  test('every task may have symbols of its own', async () => {
    const symbols = ['ETHUSDT']
    const loop = newLoop({ home: quickHome(), exchangeUrl: exchange.url })
    const signal = { pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 1e9, stopLoss: 9e8, timestamp: exchange.nowMs - 2 * 3_600_000 } as const
    await loop.feedbackTracker.recordSignal({ id: 'a', ...signal })
    await loop.feedbackTracker.recordSignal({ id: 'b', ...signal, pair: 'ETHUSDT' })
    for (const [own, closed, trained] of [[{ symbols }, 1, 2], [{}, 1, 10]] as const) {
      const scheduler = loop.startScheduler({ enabled: false, watch: own, retrain: own, update: own, evaluate: own })
      expect(await scheduler.runOnce('watch')).toMatchObject({ outcome: 'finished', done: closed })
      for (const task of ['retrain', 'update', 'evaluate'] as const) {
        expect(await scheduler.runOnce(task)).toMatchObject({ outcome: 'finished', done: trained })
      }
      await scheduler.stop()
    }
    await loop.close()
  }, 60_000)

  test('two spellings of one setting with different values are refused by both names', async () => {
    const cases: [string | undefined, string | undefined, string][] = [
      [TRAINING_CONFIG.replace('90,', '90,\n  "history_days": 60,'), undefined, '`days_history` and `history_days` are one setting'],
      [TRAINING_CONFIG.replace('90,', '90,\n  "daysHistory": 60,'), undefined, '`days_history` and `daysHistory` are one setting'],
      [undefined, SCHEDULER_CONFIG.replace('true,', 'true,\n  "fetch": { "interval_hours": 2 },'), '`schedules.fetch_data.interval` and `fetch.interval_hours` are one setting'],
    ]
    for (const [training, scheduler, message] of cases) {
      const { code, stderr } = await signalloop(homeWith(training, scheduler), 'scheduler', 'status')
      expect([code, stderr]).toEqual([1, expect.stringContaining(message)])
      expect(stderr).toContain('[ERR_INVALID_CONFIG]')
    }
    const same = homeWith(TRAINING_CONFIG.replace('90,', '90,\n  "historyDays": 90,'), SCHEDULER_CONFIG.replace('true,', 'true,\n  "fetch": { "interval_hours": 1 },'))
    const { code, stderr } = await signalloop(same, 'scheduler', 'status')
    expect([code, stderr]).toEqual([0, ''])
  })

  test('configure() and startScheduler() take the same words, and the later ones count', async () => {
    const loop = newLoop({ home: homeWith(TRAINING_CONFIG), exchangeUrl: exchange.url })
    loop.configure({ daysHistory: 60, parallelTraining: 2, retrainIntervalHours: '12h' })
    loop.configure({ historyDays: 45, poorPerformance: { cooldownHours: '1d' } })
    expect(loop.warnings).toEqual([])
    expect((await failure(() => loop.configure({ historyDays: 45, daysHistory: 46 }))).message).toContain('`historyDays` and `daysHistory` are one setting')
    expect((await failure(() => loop.configure({ parallelTraining: 0 }))).message).toContain('must be true, false or a whole number of trainings at once')
    const scheduler = loop.startScheduler({
      schedules: { fetchData: { interval: '90s', symbols: ['BTC/USDT'] }, retrainFull: { interval: '7d', time: '03:00' }, evaluatePerformance: { intervalHours: '30m' } },
      autoRetrainOnPoorPerformance: false,
      poorPerformanceThreshold: 50,
    })
    const schedules = (status: SchedulerStatus) => status.tasks.map(({ schedule }) => schedule)
    expect(schedules(scheduler.status())).toEqual(['every 10 s', 'every 90 s', 'every 7 days at 03:00', 'every 6 h', 'every 1800 s'])
    expect(scheduler.status().tasks[1]!.symbols).toEqual(['BTCUSDT'])
    await loop.close()
  })
})

describe('ten symbols by default, of which one is not traded any more', () => {
  const ADVICE = (home: string) =>
    `MATICUSDT is not traded at the exchange: write \`symbols\` without it into ${join(home, 'training_config.json')}`

  test('18 of 20 are trained, and one line says what to remove', async () => {
    const home = homeWith('{ "trees": 10 }')
    const { code, stdout, stderr } = await signalloop(home, 'train')
    expect([code, stdout.trim().split('\n').at(-1)]).toEqual([3, 'Success: 18/20 models trained (90%)'])
    expect(stdout.match(/^Training MATICUSDT (1h|4h)\.\.\. ✗ \[ERR_EXCHANGE\]$/gm)).toHaveLength(2)
    // Why, once for both.
    expect(stdout.match(/Invalid symbol/g)).toHaveLength(1)
    expect(stdout).toMatch(/^2 markets: .*Invalid symbol.*\[ERR_EXCHANGE\]; MATICUSDT 1h, MATICUSDT 4h$/m)
    expect(stdout.match(/^Training \w+ \w+\.\.\. ✓ /gm)).toHaveLength(18)
    expect(stderr).toBe(`warning: ${ADVICE(home)}\n`)

    // The tasks of the others do not count as failed.
    for (const task of ['fetch', 'update', 'retrain']) {
      const ran = await signalloop(home, 'scheduler', '--mode', 'once', '--task', task, '--json')
      const run = JSON.parse(ran.stdout)
      expect([task, ran.code, run.outcome, run.done]).toEqual([task, 0, 'finished', 18])
      expect(run.message.split('\n')).toEqual([expect.stringContaining(ADVICE(home))])
      expect(run.failed).toEqual(['1h', '4h'].map((timeframe) => expect.objectContaining({ symbol: 'MATICUSDT', timeframe, notTraded: true, code: 'ERR_EXCHANGE' })))
    }
    const status = JSON.parse((await signalloop(home, 'scheduler', 'status', '--json')).stdout) as SchedulerStatus
    expect(status.tasks.map(({ attempt, lastRun }) => [attempt, lastRun?.outcome])).toEqual([[0, undefined], [0, 'finished'], [0, 'finished'], [0, 'finished'], [0, undefined]])
    const { findings } = JSON.parse((await signalloop(home, 'doctor', '--json')).stdout) as { findings: { check: string; state: string }[] }
    expect(findings.filter(({ check }) => check === 'scheduler')).toEqual([expect.objectContaining({ state: 'fine' })])
  }, 180_000)

  test('its stored candles stay, and it fails all the same', async () => {
    const home = homeWith('{ "symbols": ["BTCUSDT", "MATICUSDT"], "timeframes": ["1h"], "trees": 10 }')
    expect((await signalloop(home, 'fetch', '--symbol', 'BTCUSDT')).code).toBe(0)
    const old = readFileSync(join(home, 'data', 'btcusdt_1h.csv'), 'utf8')
    writeFileSync(join(home, 'data', 'maticusdt_1h.csv'), `${old.split('\n').slice(0, 1000).join('\n')}\n`)
    const before = readFileSync(join(home, 'data', 'maticusdt_1h.csv'), 'utf8')
    const { code, stdout, stderr } = await signalloop(home, 'train')
    expect([code, stdout]).toEqual([3, expect.stringMatching(/^Training MATICUSDT 1h\.\.\. ✗ /m)])
    expect(stderr).toBe(`warning: MATICUSDT is not traded at the exchange: remove it from \`symbols\` in ${join(home, 'training_config.json')}\n`)
    expect(readFileSync(join(home, 'data', 'maticusdt_1h.csv'), 'utf8')).toBe(before)
  }, 60_000)

  test('real failures are not hidden by it, nor is a task without any other symbol', async () => {
    const loop = newLoop({ home: homeWith('{ "symbols": ["BTCUSDT", "MATICUSDT"], "timeframes": ["1h"] }'), exchangeUrl: exchange.url })
    writeFileSync(join(loop.home, 'scheduler_config.json'), '{ "fetch": { "symbols": ["MATICUSDT"] } }')
    const alone = await loop.startScheduler({ enabled: false }).runOnce('fetch')
    expect(alone).toMatchObject({ outcome: 'failed', done: 0, failed: [{ symbol: 'MATICUSDT', notTraded: true }] })
    expect(alone.message).toContain('MATICUSDT is not traded at the exchange: remove it from the `symbols` of `fetch` in scheduler_config.json')
    await loop.close()
  })
})

test('1d works by default: what a model needs is fetched, and one line says so', async () => {
  const home = homeWith('{ "symbols": ["BTCUSDT", "ETHUSDT"], "timeframes": ["4h", "1d"], "days_history": 30, "trees": 10 }')
  const { code, stdout, stderr } = await signalloop(home, 'train')
  expect([code, stderr, stdout.trim().split('\n').at(-1)]).toEqual([0, '', expect.stringMatching(/^Success: 4\/4 models trained/)])
  expect(stdout.match(/too few to train on.*$/gm)).toEqual(['too few to train on: fetched are 59 days of 4h, 353 days of 1d'])
  // As an event, once a loop.
  const heard: string[] = []
  const loop = newLoop({ home, exchangeUrl: exchange.url, onEvent: (event) => void (event.type === 'warning' && heard.push(event.message)) })
  await loop.fetchData({})
  await loop.train({ symbols: ['BTCUSDT'] })
  expect(heard).toEqual([
    '30 days of history are too few to train on: fetched are 59 days of 4h, 353 days of 1d',
    expect.stringMatching(/^30 days of candles, as configured: on real candles, models of 90 and 180 days showed no skill/),
  ])
}, 60_000)

test('docs/migration.md has each word of both files and a test for each of its lines', () => {
  const migration = readFileSync(join(ROOT, 'docs', 'migration.md'), 'utf8')
  const section = migration.slice(migration.indexOf('## Word by word'), migration.indexOf('\n## ', migration.indexOf('## Word by word') + 5))
  const rows = section.split('\n').filter((line) => /^\| (?!before|---)/.test(line))
  expect(rows.length).toBeGreaterThan(35)
  for (const row of rows) {
    const tests = [...row.split('|').at(-2)!.matchAll(/`([\w.-]+)`/g)].map(([, name]) => name!)
    expect([row, tests.length > 0, tests.filter((name) => !existsSync(join(ROOT, '__test__', name)))]).toEqual([row, true, []])
  }
  const keys = `${TRAINING_CONFIG}${SCHEDULER_CONFIG}`.match(/"[a-z_]+"(?=:)/g)!.map((key) => key.slice(1, -1))
  expect(keys.length).toBeGreaterThan(12)
  expect(keys.filter((key) => !new RegExp(`[\`.]${key}\``).test(section))).toEqual(['schedules'])
})

describe('the commands', () => {
  const MARKET = ['--symbol', 'BTCUSDT', '--timeframe', '1h']

  test('each has its equivalent, and the old words work', async () => {
    const home = quickHome()
    const commands: [string, string[], RegExp][] = [
      ['auto_trainer.py --mode symbol --symbol BTCUSDT --timeframe 1h', ['train', '--mode', 'symbol', ...MARKET], /^Success: 1\/1 models trained/m],
      ['auto_trainer.py --mode symbol --symbol ETHUSDT --timeframe 1h', ['train', '--mode', 'symbol', '--symbol', 'ETHUSDT', '--timeframe', '1h'], /^Training ETHUSDT 1h\.\.\. ✓/m],
      ['auto_trainer.py --mode retrain --max-age 24', ['train', '--mode', 'retrain', '--max-age', '24'], /^2 models are recent enough[\s\S]*^Success: 8\/8 models trained/m],
      ['auto_trainer.py --mode all', ['train', '--mode', 'all'], /^Success: 10\/10 models trained/m],
      ['continuous_learner.py --symbol BTCUSDT --timeframe 1h --mode retrain', ['learn', ...MARKET, '--mode', 'retrain'], /^Success: 1\/1/m],
      ['continuous_learner.py --symbol BTCUSDT --timeframe 1h --mode incremental', ['learn', ...MARKET, '--mode', 'incremental'], /^Success: 1\/1/m],
      ['continuous_learner.py --symbol BTCUSDT --timeframe 1h --mode evaluate', ['learn', ...MARKET, '--mode', 'evaluate'], /^BTCUSDT 1h: not enough evidence/m],
      ['learning_scheduler.py --mode once --task fetch', ['scheduler', '--mode', 'once', '--task', 'fetch'], /^fetch finished/m],
      ['learning_scheduler.py --mode once --task evaluate', ['scheduler', '--mode', 'once', '--task', 'evaluate'], /^evaluate finished/m],
      ['feedback_collector.py', ['stats'], /No signals/],
      ['ls -lht *.pkl', ['models'], /BTCUSDT 1h/],
    ]
    for (const [before, args, printed] of commands) {
      const ended = await signalloop(home, ...args)
      expect([before, ended.code, ended.stderr]).toEqual([before, 0, ''])
      expect(ended.stdout).toMatch(printed)
    }
    expect(existsSync(join(home, 'models', 'training_results.json'))).toBe(true)
  }, 180_000)

  test('scheduler --mode run runs what is due, until it is ended', async () => {
    const { code, stderr } = await signalloop(homeWith(undefined, '{ "enabled": false }'), 'scheduler', '--mode', 'run')
    // It is the same as `scheduler run`, which has its own tests.
    expect([code, stderr]).toEqual([1, expect.stringContaining('`enabled` is false')])
  })

  test('flags that contradict each other get a sentence', async () => {
    const home = newHome()
    const cases: [string[], string][] = [
      [['train', '--mode', 'all', '--symbol', 'BTCUSDT'], '--mode all trains every configured symbol'],
      [['train', '--mode', 'symbol'], '--mode symbol needs --symbol'],
      [['train', '--max-age', '24'], 'add --mode retrain'],
      [['train', '--mode', 'all', '--max-age', '24'], 'add --mode retrain'],
      [['train', '--mode', 'retrain', '--max-age', 'soon'], 'must be a number of hours'],
      [['scheduler'], 'say what to do: run, once, status or next'],
      [['scheduler', '--mode', 'once'], '--mode once needs --task'],
      [['scheduler', '--mode', 'run', '--task', 'fetch'], '--task is for --mode once'],
      [['scheduler', '--task', 'fetch'], '--mode'],
      [['scheduler', '--mode', 'once', '--task', 'sleep'], 'must be one of watch, fetch'],
    ]
    for (const [args, sentence] of cases) {
      const { code, stdout, stderr } = await signalloop(home, ...args, '--json')
      expect([args, code, stderr]).toEqual([args, 2, expect.stringContaining(sentence)])
      expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'ERR_INVALID_ARGUMENT' } })
    }
    expect(existsSync(join(home, 'models'))).toBe(false)
  }, 60_000)

  test('a test signal is recorded and succeeds', async () => {
    const collector = new SignalLoop({ home: newHome() })
    const signal = {
      id: 'test_001',
      pair: 'BTCUSDT',
      signalType: 'BUY',
      confidence: 80,
      entryPrice: 43000,
      stopLoss: 42500,
      takeProfit: 44000,
      timestamp: new Date().toISOString(),
    } as const
    expect(await collector.feedbackTracker.recordSignal(signal)).toBe(true)
    expect(await collector.feedbackTracker.updateOutcome({ signalId: 'test_001', outcome: 'SUCCESS', exitPrice: 43800, profitLossPercent: 1.86 })).toBe(true)
    expect((await collector.feedbackTracker.getStats()).overall).toMatchObject({ closedSignals: 1, successfulSignals: 1 })
    expect(readFileSync(join(collector.home, 'feedback', 'signals.jsonl'), 'utf8')).toContain('"test_001"')
    await collector.close()
  })
})
