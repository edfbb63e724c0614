import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { newHome } from './helpers/home'
import { BUN, DENO, NODE, run, startSimulator } from './helpers/program'

/** An exchange that refuses every connection. */
const NOWHERE = 'http://127.0.0.1:9'
const HOUR = 3_600_000

test('closing-loop closes signals and ends by itself', async () => {
  const { code, stdout, stderr } = await run('closing-loop/main.ts', { SIGNALLOOP_HOME: newHome() })
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/(BUY|SELL) of [\d.]+: (TOOK_PROFIT|STOPPED_OUT|SUCCESS|FAILURE) at [\d.]+, -?[\d.]+ %/)
  const [, closed, total] = /(\d+) of (\d+) signals closed, \d+ % succeeded/.exec(stdout)!
  expect(Number(total)).toBe(6)
  expect(Number(closed)).toBeGreaterThanOrEqual(3)
})

test('telegram-channel follows its messages, learns from them, and is scored', async () => {
  const { code, stdout, stderr } = await run('telegram-channel/main.ts', { SIGNALLOOP_HOME: newHome() })
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/^entered at [\d.]+, .*the rest at [\d.]+ \((stop|expiry)\): -?[\d.]+ R, -?[\d.]+ % of the margin$/m)
  const [, closed, never] = /^80 messages: (\d+) closed, (\d+) never entered$/m.exec(stdout)!
  expect([Number(closed) + Number(never), Number(never) > 0]).toEqual([80, true])
  // Half of its messages are right, and that is learned.
  expect(stdout).toMatch(/^trend: \d.*: take, \d+ %$/m)
  expect(stdout).toMatch(/^news: -\d.*: leave, \d+ %$/m)
  expect(stdout).toMatch(/^assess adds \d\.\d\d R per signal/m)
})

test('custom-exchange trains on its own candles, page by page', async () => {
  const { code, stdout, stderr } = await run('custom-exchange/main.ts', { SIGNALLOOP_HOME: newHome() })
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout.match(/asked for BTCUSD from/g)!.length).toBeGreaterThanOrEqual(2)
  expect(stdout).toMatch(/BTCUSD 1h: trained on [56]\d\d rows/)
  expect(stdout).toMatch(/^(BUY|SELL|HOLD): .+/m)
})

test('replay tells what the strategy would have brought, and what each part did, in Bun and Deno as in Node.js', async () => {
  const page = join(newHome(), 'replay.html')
  const replayed = [NODE, BUN, DENO].map((runtime, i) => run('replay/main.ts', { REPLAY_REPORT: i === 0 ? page : `${page}.${i}` }, runtime))
  const [node, ...others] = await Promise.all(replayed)
  expect(others).toEqual([node, node])
  const { code, stdout, stderr } = node!
  expect([code, stderr]).toEqual([0, ''])
  const closed = (set: string) => Number(new RegExp(`^${set}: \\d+ signals, (\\d+) closed, -?\\d\\.\\d+ R each$`, 'm').exec(stdout)![1])
  expect(closed('all')).toBeGreaterThan(200)
  expect(closed('taken') + closed('left')).toBe(closed('all'))
  for (const part of ['models', 'outcomes']) expect(stdout).toMatch(new RegExp(`^${part}: (it|not enough|nothing) .+`, 'm'))
  expect(readFileSync(page, 'utf8')).toContain('<title>signalloop replay</title>')
}, 180_000)

test('own-model weighs a LightGBM by what it knows on candles that it has not seen', async () => {
  const { code, stdout, stderr } = await run('own-model/main.ts', {})
  expect([code, stderr]).toEqual([0, ''])
  for (const side of ['BUY', 'SELL']) {
    const [, weight, rows] = new RegExp(`^${side}: weight (\\d\\.\\d\\d), slope .+ on (\\d+) rows that it has not seen$`, 'm').exec(stdout)!
    // 119 days, less those of the last outcomes.
    expect([Number(weight) > 0.1, Number(rows) > 115 * 24 && Number(rows) <= 119 * 24]).toEqual([true, true])
  }
  expect(stdout).toMatch(/^(BUY|SELL|HOLD): a BUY succeeds with [\d.]+ %, a SELL with [\d.]+ %$/m)
})

test('lightgbm-indicator learns what the probability is worth', async () => {
  const { code, stdout, stderr } = await run('lightgbm-indicator/main.ts', {})
  expect([code, stderr]).toEqual([0, ''])
  const [low, high] = [...stdout.matchAll(/^lightgbm [\d.]+: (\d+) % by \d\d\d closed signals$/gm)].map((match) => Number(match[1]))
  expect(high! - low!).toBeGreaterThan(10)
})

test('ccxt fetches the candles that models are trained on, from the test exchange', async () => {
  const exchange = await startSimulator('BTCUSDT', 'ETHUSDT')
  try {
    const { code, stdout, stderr } = await run('ccxt/candles.ts', { SIGNALLOOP_HOME: newHome(), SIGNALLOOP_EXCHANGE_URL: exchange.url })
    expect([code, stderr]).toEqual([0, ''])
    // 60 days of closed hours: more than one page.
    const [, candles] = /^BTCUSDT 1h: (\d+) candles from Binance, trained on \d+ rows$/m.exec(stdout)!
    expect(Math.abs(Number(candles) - 60 * 24)).toBeLessThanOrEqual(1)
    expect(stdout).toMatch(/^(BUY|SELL|HOLD): .+/m)
  } finally {
    await exchange.stop()
  }
})

test('worker threads and the main thread share one store', async () => {
  const { code, stdout, stderr } = await run('worker-threads/main.ts', { SIGNALLOOP_HOME: newHome() })
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '150 of 150 signals of 3 threads closed\n', stderr: '' })
})

test('four processes on one home close each signal once', async () => {
  const { code, stdout, stderr } = await run('cluster/main.ts', { SIGNALLOOP_HOME: newHome() })
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '100 of 100 closed, 100 told, 0 told twice\n', stderr: '' })
})

test('retrain ends with 0 when every model is young, and with 1 when one is not', async () => {
  const home = newHome()
  const env = { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE }
  const retrain = () => run('retraining/retrain.ts', env)
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: ['BTCUSDT'], timeframes: ['1h'], trees: 10 }))
  const failed = await retrain()
  expect(failed.stdout).toContain('1/1 BTCUSDT 1h: failed')
  expect(failed.stderr).toContain('btcusdt_1h.csv does not exist')
  expect(failed.code).toBe(1)

  storeCandles(home, 400)
  const trained = await retrain()
  expect(trained.stdout).toContain('1 trained, 0 failed, 0 young enough')
  expect(trained.code).toBe(0)
  // The exchange is out of reach, so the years before could not be fetched.
  expect(trained.stderr).toMatch(/^BTCUSDT 1h: trained on the 400 candles since .* the next fetch goes on from there .*\n$/)

  const young = await retrain()
  expect(young.stdout).toContain('0 trained, 0 failed, 1 young enough')
  expect(young.code).toBe(0)
})

/** Hourly candles until now, in the file that the home keeps them in. */
function storeCandles(home: string, count: number): void {
  const end = Math.floor(Date.now() / HOUR) * HOUR
  const at = (time: number) => 100 + 5 * Math.sin(time / (9 * HOUR)) + Math.sin(time * 1.3e-7)
  const rows = Array.from({ length: count }, (_, i) => {
    const time = end - (count - i) * HOUR
    const [open, close] = [at(time), at(time + HOUR)]
    const numbers = [open, Math.max(open, close) + 0.1, Math.min(open, close) - 0.1, close, 1000 + (i % 7)]
    return [new Date(time).toISOString().slice(0, 19).replace('T', ' '), ...numbers].join(',')
  })
  mkdirSync(join(home, 'data'), { recursive: true })
  writeFileSync(join(home, 'data', 'btcusdt_1h.csv'), ['timestamp,open,high,low,close,volume', ...rows, ''].join('\n'))
}
