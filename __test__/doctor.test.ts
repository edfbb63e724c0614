import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { appendFileSync, existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HOUR, candles, storeCandles } from './helpers/candles'
import { ROOT, runNode, spawnKept } from './helpers/child'
import { NOWHERE, contents, newHome, newLoop } from './helpers/home'

interface Finding {
  check: string
  state: 'fine' | 'warning' | 'fault'
  what: string
  why?: string
  advice?: string
  code?: string
}

const CLI = join(ROOT, 'bin', 'signalloop.js')
const HOST = /^Node\.js v\d+\.\d+\.\d+, \w+ \w+/

/** What doctor finds in a home, besides what is fine. */
async function found(home: string, url: string): Promise<{ code: number | null; faults: Finding[]; warnings: Finding[]; fine: string[] }> {
  const { code, stdout, stderr } = await runNode([CLI, 'doctor', '--json', '--home', home], { env: { SIGNALLOOP_EXCHANGE_URL: url } })
  expect(stderr).toBe('')
  const { healthy, host, findings } = JSON.parse(stdout) as { healthy: boolean; host: string; findings: Finding[] }
  expect(host).toMatch(HOST)
  expect(healthy).toBe(code === 0)
  const of = (state: Finding['state']) => findings.filter((finding) => finding.state === state)
  for (const finding of [...of('fault'), ...of('warning')]) {
    expect([finding, finding.why, finding.advice]).toEqual([finding, expect.stringMatching(/.{10}/), expect.stringMatching(/.{5}/)])
  }
  return { code, faults: of('fault'), warnings: of('warning'), fine: of('fine').map(({ check }) => check) }
}

/** An exchange whose clock is off by `aheadMs`, and that does not know some symbols. */
let exchange: Server
let aheadMs = 0
beforeAll(async () => {
  exchange = createServer((request, response) => {
    const url = new URL(request.url!, 'http://localhost')
    const send = (status: number, body: unknown) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (url.pathname === '/api/v3/time') return send(200, { serverTime: Date.now() + aheadMs })
    const one = url.searchParams.get('symbol')
    const symbols = one ? [one] : (JSON.parse(url.searchParams.get('symbols') ?? '[]') as string[])
    if (symbols.some((symbol) => symbol.startsWith('NO'))) return send(400, { code: -1121, msg: 'Invalid symbol.' })
    if (url.pathname === '/api/v3/exchangeInfo') {
      return send(200, { symbols: symbols.map((symbol) => ({ symbol, status: symbol.startsWith('GONE') ? 'BREAK' : 'TRADING' })) })
    }
    const prices = symbols.map((symbol) => ({ symbol, price: '5' }))
    return send(200, one ? prices[0] : prices)
  })
  await new Promise<void>((resolve) => exchange.listen(0, '127.0.0.1', resolve))
})
afterAll(() => {
  exchange.closeAllConnections()
  return new Promise((resolve) => exchange.close(resolve))
})
const url = () => `http://127.0.0.1:${(exchange.address() as AddressInfo).port}`

/** A home with candles and a model of BTCUSDT 1h, which is all that is configured. */
async function healthyHome(): Promise<string> {
  const home = newHome()
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: ['BTCUSDT'], timeframes: ['1h'], trees: 10 }))
  storeCandles(home, candles(400))
  const loop = newLoop({ home })
  expect((await loop.train({ fetch: false })).successful).toBe(1)
  await loop.feedbackTracker.recordSignal({ id: 'a', pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 100, timestamp: Date.now() })
  await loop.close()
  return home
}
let healthy: string
beforeEach(async () => {
  healthy = await healthyHome()
  aheadMs = 0
})

test('a healthy home: nothing is wrong, and nothing is changed', async () => {
  const before = contents(healthy)
  const { code, faults, warnings, fine } = await found(healthy, url())
  expect({ code, faults, warnings }).toEqual({ code: 0, faults: [], warnings: [] })
  expect(fine).toEqual(['home', 'disk', 'configuration', 'signals', 'results', 'candles', 'models', 'scheduler', 'exchange', 'clock'])
  expect(contents(healthy)).toEqual(before)
  const { stdout } = await runNode([CLI, 'doctor', '--home', healthy], { env: { SIGNALLOOP_EXCHANGE_URL: url() } })
  expect(stdout).toMatch(/^signalloop \d.*Node\.js v/)
  expect(stdout).toMatch(/\nok +signals +1 signal, 1 of them open/)
  expect(stdout).toMatch(/\nNothing is wrong\.\n$/)
})

test('a home that does not exist yet is told, as is one that cannot be', async () => {
  const nowhere = join(newHome(), 'mll')
  const { code, warnings } = await found(nowhere, url())
  expect([code, warnings[0]]).toMatchObject([0, { check: 'home', what: expect.stringContaining(nowhere) }])
  expect(existsSync(nowhere)).toBe(false)

  const file = join(newHome(), 'file')
  writeFileSync(file, '')
  for (const home of [file, join(file, 'below')]) {
    expect(await found(home, url())).toMatchObject({ code: 1, faults: [{ check: 'home', code: 'ERR_IO', what: expect.stringContaining(file) }] })
  }
})

type Harm = [name: string, harm: (home: string) => void | Promise<void>, expected: Omit<Partial<Finding>, 'what'> & { what: RegExp | string }]
const json = (home: string, name: string, content: object | string) =>
  writeFileSync(join(home, name), typeof content === 'string' ? content : JSON.stringify(content))
const market = { symbols: ['BTCUSDT'], timeframes: ['1h'] }
const LONG_AGO = Math.floor(Date.now() / HOUR - 61 * 24) * HOUR
/** Two open signals, as lines of the log. */
const open = (symbol: string) =>
  ['x', 'y'].map((signal_id) => `${JSON.stringify({ signal_id, symbol, signal_type: 'BUY', entry_price: 1, timestamp: new Date(Date.now() - HOUR).toISOString() })}\n`).join('')

const HARMS: Harm[] = [
  ['a wrong value', (home) => json(home, 'training_config.json', { ...market, trees: 3 }), { check: 'configuration', state: 'fault', code: 'ERR_INVALID_CONFIG', what: /`trees` must be .* 10 to 2000; got 3/ }],
  ['broken JSON', (home) => json(home, 'training_config.json', '{ "symbols": ['), { check: 'configuration', state: 'fault', code: 'ERR_INVALID_CONFIG', what: /valid JSON/ }],
  ['a misspelt key', (home) => json(home, 'training_config.json', { ...market, tres: 30 }), { check: 'configuration', state: 'warning', what: /unknown key `tres`/ }],
  ['a wrong schedule', (home) => json(home, 'scheduler_config.json', { retrain: { time: '25:00' } }), { check: 'configuration', state: 'fault', code: 'ERR_INVALID_CONFIG', what: /25:00/ }],
  ['a log that is a folder', (home) => {
    rmSync(join(home, 'feedback'), { recursive: true })
    mkdirSync(join(home, 'feedback', 'signals.jsonl'), { recursive: true })
  }, { check: 'signals', state: 'fault', code: 'ERR_STORE', what: /signals\.jsonl/ }],
  ['a torn log', (home) => appendFileSync(join(home, 'feedback', 'signals.jsonl'), '{"signal_id":"b","pai'), { check: 'signals', state: 'warning', what: /unfinished last line of 21 bytes/ }],
  ['a signal ahead of the clock', (home) => {
    const timestamp = new Date(Date.now() + 3_600_000).toISOString()
    const line = { signal_id: 'ahead', symbol: 'BTCUSDT', signal_type: 'BUY', entry_price: 1, timestamp }
    appendFileSync(join(home, 'feedback', 'signals.jsonl'), `${JSON.stringify(line)}\n`)
  }, { check: 'signals', state: 'warning', what: /1 open signals lie ahead of this machine's clock/ }],
  ['a log that was cut off', (home) => writeFileSync(join(home, 'feedback', 'signals.jsonl'), ''), { check: 'signals', state: 'fault', code: 'ERR_STORE', what: /lacks 1 signals/ }],
  ['a damaged line', (home) => appendFileSync(join(home, 'feedback', 'signals.jsonl'), 'rubbish\n'), { check: 'signals', state: 'warning', what: /1 damaged lines/ }],
  ['no candles', (home) => rmSync(join(home, 'data'), { recursive: true }), { check: 'candles', state: 'warning', what: '1 of 1 configured markets have no candles: BTCUSDT 1h' }],
  ['old candles', (home) => storeCandles(home, candles(400, { end: Math.floor(Date.now() / HOUR) * HOUR - 5 * HOUR })), { check: 'candles', state: 'warning', what: /end in the past: BTCUSDT 1h \(5 hours ago\)/ }],
  ['a hole in time', (home) => storeCandles(home, candles(400).filter((_, i) => i < 100 || i > 102)), { check: 'candles', state: 'warning', what: /have holes in time: BTCUSDT 1h \(1\)/ }],
  ['candles that cannot be', (home) => appendFileSync(join(home, 'data', 'btcusdt_1h.csv'), '2099-01-01 00:00:00,100,90,110,100,5\n'), { check: 'candles', state: 'fault', code: 'ERR_INVALID_CANDLE', what: /btcusdt_1h\.csv/ }],
  ['a short history', (home) => json(home, 'training_config.json', { ...market, days_history: 90 }), { check: 'candles', state: 'warning', what: /^90 days of candles, as configured: .*showed no skill/ }],
  ['a file of no market', (home) => writeFileSync(join(home, 'data', 'old copy.csv'), ''), { check: 'candles', state: 'warning', what: /old copy\.csv/ }],
  ['no model', (home) => rmSync(join(home, 'models'), { recursive: true }), { check: 'models', state: 'warning', what: '1 of 1 configured markets have no model: BTCUSDT 1h' }],
  ['a damaged model', (home) => {
    const [path] = Object.keys(contents(join(home, 'models'))).filter((name) => /btcusdt_1h\/.*\.model$/.test(name.replaceAll('\\', '/')))
    appendFileSync(path!, 'more')
  }, { check: 'models', state: 'fault', code: 'ERR_MODEL_FILE', what: /btcusdt_1h/ }],
  ['a symbol that is not traded any more', (home) => json(home, 'training_config.json', { symbols: ['BTCUSDT', 'GONEUSDT'], timeframes: ['1h'] }), { check: 'exchange', state: 'warning', what: /GONEUSDT is not traded any more: .*its status is BREAK/ }],
  ['candles that ended long ago, of a symbol that is traded', (home) => storeCandles(home, candles(400, { end: LONG_AGO })), { check: 'candles', state: 'warning', what: /end in the past: BTCUSDT 1h \(2 months ago\)/ }],
  ['candles that ended long ago, of a delisted symbol', (home) => {
    json(home, 'training_config.json', { ...market, symbols: ['GONEUSDT'] })
    storeCandles(home, candles(400, { end: LONG_AGO }), 'goneusdt_1h')
  }, { check: 'candles', state: 'warning', what: /have had no candle for a month: GONEUSDT 1h \(2 months ago\)/ }],
  ['open signals of a delisted symbol', (home) => appendFileSync(join(home, 'feedback', 'signals.jsonl'), open('GONEUSDT')), { check: 'exchange', state: 'warning', what: /^2 open signals of GONEUSDT cannot be closed by price: its status is BREAK/ }],
  ['open signals of a symbol that the exchange does not know', (home) => appendFileSync(join(home, 'feedback', 'signals.jsonl'), open('NOUSDT')), { check: 'exchange', state: 'warning', what: /^2 open signals of NOUSDT cannot be closed by price: the exchange does not know it/ }],
  ['conservative mode', async (home) => {
    const loop = newLoop({ home, exchangeUrl: url() })
    for (let i = 0; i < 10; i++) {
      await loop.feedbackTracker.recordSignal({ id: `s${i}`, pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 100, timestamp: Date.now() })
      await loop.feedbackTracker.updateOutcome({ signalId: `s${i}`, outcome: 'FAILURE', exitPrice: 99 })
    }
    await loop.startScheduler({ enabled: false }).runOnce('evaluate')
    await loop.close()
  }, { check: 'results', state: 'warning', what: /^conservative mode of the whole home.* ago: 0 of 10 closed signals succeeded/ }],
  ['a file from the future', (home) => {
    const ahead = new Date(Date.now() + 3 * HOUR)
    utimesSync(join(home, 'training_config.json'), ahead, ahead)
  }, { check: 'clock', state: 'warning', what: /^1 file of the home is dated ahead of this machine's clock, by up to (2|3) hours/ }],
  ['a symbol that the exchange does not know', (home) => json(home, 'training_config.json', { symbols: ['BTCUSDT', 'NOUSDT'], timeframes: ['1h'] }), { check: 'exchange', state: 'fault', code: 'ERR_EXCHANGE', what: /NOUSDT: .*Invalid symbol/ }],
  ['a clock that is ahead', () => {
    aheadMs = -90_000
  }, { check: 'clock', state: 'warning', what: /clock is (89\.\d|90\.0) s ahead of that of 127\.0\.0\.1/ }],
  ['a clock that is behind', () => {
    aheadMs = 5000
  }, { check: 'clock', state: 'warning', what: /clock is [45]\.\d s behind/ }],
  ['a folder that is none', (home) => {
    rmSync(join(home, 'models'), { recursive: true })
    writeFileSync(join(home, 'models'), '')
  }, { check: 'home', state: 'fault', code: 'ERR_IO', what: /cannot write .*models/ }],
  ['a task that failed', async (home) => {
    rmSync(join(home, 'data'), { recursive: true })
    await runNode([CLI, 'scheduler', 'once', '--task', 'fetch', '--home', home], { env: { SIGNALLOOP_EXCHANGE_URL: NOWHERE } })
  }, { check: 'scheduler', state: 'warning', what: /fetch failed at .*\[ERR_EXCHANGE\]/ }],
]

test.each(HARMS)('%s is found', async (_name, harm, { what, ...expected }) => {
  await harm(healthy)
  const { code, faults, warnings } = await found(healthy, url())
  expect([...faults, ...warnings]).toContainEqual(expect.objectContaining({ ...expected, what: expect.stringMatching(what) }))
  expect(code).toBe(expected.state === 'fault' ? 1 : 0)
})

test('an exchange that cannot be reached is named', async () => {
  const { code, faults } = await found(healthy, NOWHERE)
  expect([code, faults]).toMatchObject([1, [{ check: 'exchange', code: 'ERR_EXCHANGE', what: expect.stringContaining('127.0.0.1:9'), advice: expect.stringContaining('127.0.0.1:9') }]])
})

// Only Linux names the holder of a lock and has a command that holds one.
const onLinux = process.platform === 'linux' ? test : test.skip
onLinux('a log that another process does not let go is told with its holder', async () => {
  const log = join(healthy, 'feedback', 'signals.jsonl')
  const holder = spawnKept('flock', ['--exclusive', log, 'sh', '-c', 'echo held; sleep 60'], { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  try {
    await once(holder.stdout, 'data')
    const { code, faults } = await found(healthy, url())
    expect([code, faults]).toMatchObject([1, [{ check: 'signals', code: 'ERR_STORE_BUSY', what: expect.stringContaining(`held by process ${holder.pid} (flock)`) }]])
  } finally {
    const ended = once(holder, 'close')
    process.kill(-holder.pid!, 'SIGKILL')
    await ended
  }
})
