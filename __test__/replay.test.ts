import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ReplayOptions, ReplayProgress, SignalLoop, Strategy, StrategyCandles, StrategyMarket } from '..'
import { candles, storeCandles } from './helpers/candles'
import { ROOT, runNode } from './helpers/child'
import { failure, newHome, newLoop, records } from './helpers/home'

const HOUR = 3_600_000
const HOURS = 40 * 24

/** A loop of one market with forty days of candles, and no models. */
function loopWithCandles(): { loop: SignalLoop; home: string } {
  const home = newHome()
  storeCandles(home, candles(HOURS))
  const loop = newLoop({ home })
  loop.configure({ symbols: ['BTCUSDT'], timeframes: ['1h'] })
  return { loop, home }
}

/** A BUY at every sixth candle, with a stop of 1 %. */
const everySixth: Strategy = (_market, { length, close }) => {
  const entryPrice = close[length - 1]!
  return length % 6 === 0 ? { signalType: 'BUY', entryPrice, stopLoss: 0.99 * entryPrice, takeProfit: 1.01 * entryPrice } : undefined
}

/** Quick: outcomes are learned from, nothing is trained. */
const quick = { without: ['models'] } as const

test('a strategy is asked once a closed candle, and has nothing later in its memory', async () => {
  const { loop } = loopWithCandles()
  const seen: number[] = []
  let last: StrategyCandles | undefined
  const strategy = (market: StrategyMarket, past: StrategyCandles) => {
    expect(market).toEqual({ symbol: 'BTCUSDT', timeframe: '1h' })
    seen.push(past.length)
    const column = past.close
    // Behind the view there is room, and nothing in it yet.
    const behind = new Float64Array(column.buffer).subarray(column.length)
    expect(behind.every((value) => value === 0)).toBe(true)
    expect(() => past.at(past.length)).toThrow(/^candle \d+ of BTCUSDT 1h has not closed: \d+ have, and the last one, \d+, opened at 20/)
    expect(past.at(-1)).toEqual({
      time: past.time.at(-1), open: past.open.at(-1), high: past.high.at(-1), low: past.low.at(-1), close: past.close.at(-1), volume: past.volume.at(-1),
    })
    last = past
    return everySixth(market, past)
  }
  const { summary, source } = await loop.replay({ ...quick, strategy })
  expect(seen).toEqual(Array.from({ length: HOURS }, (_, n) => n + 1))
  expect([...last!.time]).toEqual([...last!.time].sort((a, b) => a - b))
  expect([source, summary.all.signals]).toEqual(['strategy', HOURS / 6])
  expect(summary.all.closed).toBeGreaterThan(HOURS / 6 - 10)
})

test('signals of the home, of a file and given ones are the same look; the ledger counts it', async () => {
  const { loop, home } = loopWithCandles()
  const { time, close } = await lastCandles(loop)
  const signals = time.slice(-240).flatMap((at, n) => {
    const entryPrice = close.at(n - 240)!
    const signal = { id: `s${n}`, pair: 'BTC/USDT', timeframe: '1h', signalType: 'SELL', confidence: 60, entryPrice, timestamp: at + HOUR } as const
    return n % 8 === 0 ? [{ ...signal, stopLoss: 1.01 * entryPrice, takeProfit: 0.98 * entryPrice }] : []
  })
  const file = join(newHome(), 'signals.jsonl')
  writeFileSync(file, signals.map((signal) => `${JSON.stringify(signal)}\n`).join(''))
  const given = await loop.replay({ ...quick, signals })
  expect(given.looks.looks).toBe(1)
  // The last one is given when the last candle has closed.
  expect([given.summary.all.signals, given.leftOut]).toEqual([30, 0])
  expect(readdirSync(home).sort()).toEqual(['data', 'replays.jsonl', 'replays.lock'])
  const csv = join(newHome(), 'all.csv')
  const read = await loop.replay({ ...quick, signals: file, csv })
  expect([read.summary, read.looks.looks]).toEqual([given.summary, 2])
  expect(read.verdict.looks?.words).toMatch(/^the 2nd look at these signals/)
  const rows = readFileSync(csv, 'utf8').trim().split('\n')
  expect([rows.length, rows[0]!.split(',').slice(0, 3)]).toEqual([31, ['id', 'time', 'symbol']])
  await loop.feedbackTracker.recordSignals(signals)
  const own = await loop.replay(quick)
  expect([own.summary, own.looks.looks]).toEqual([given.summary, 3])
})

async function lastCandles(loop: SignalLoop): Promise<{ time: number[]; close: number[] }> {
  let found = { time: [] as number[], close: [] as number[] }
  const strategy: Strategy = (market, { time, close, length }) => {
    found = { time: [...time], close: [...close] }
    return length === HOURS ? everySixth(market, { length: 6, close } as unknown as StrategyCandles) : undefined
  }
  await loop.replay({ ...quick, strategy })
  return found
}

test.each<[string, () => unknown, RegExp]>([
  ['throws', () => { throw new Error('no idea') }, /no idea/],
  ['rejects', () => Promise.reject(new Error('later no idea')), /later no idea/],
  ['returns a number', () => 7, /a signal must be an object; got 7/],
  ['returns a signal without an entry', () => ({ signalType: 'BUY' }), /entryPrice/],
  ['returns a price that is none', () => ({ signalType: 'BUY', entryPrice: NaN }), /entryPrice/],
  ['returns what has no JSON', () => { const self: { self?: unknown } = {}; self.self = self; return self }, /cannot be read: .*circular/],
  ['returns another market', () => ({ signalType: 'BUY', entryPrice: 1, symbol: 'ETHUSDT' }), /is of ETHUSDT 1h; leave symbol and timeframe out/],
  ['returns another time', () => ({ signalType: 'BUY', entryPrice: 1, timestamp: '2020-01-01T00:00:00Z' }), /leave it out, a signal is given when its candle closes/],
  ['returns 10 000 signals', () => Array(10_000).fill({ signalType: 'BUY', entryPrice: 1 }), /10000 signals at one candle; at most 100 are taken/],
])('a strategy that %s is told with its candle, and the replay ends or goes on', async (_what, answer, problem) => {
  const { loop, home } = loopWithCandles()
  const strategy = ((market: StrategyMarket, past: StrategyCandles) => (past.length === 500 ? answer() : everySixth(market, past))) as Strategy
  const error = await failure(() => loop.replay({ ...quick, strategy }))
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(problem) })
  expect(error.message).toMatch(/failed at the candle of BTCUSDT 1h that closed at 20\d\d-/)
  expect(existsSync(join(home, 'replays.jsonl'))).toBe(false)
  const { faults, summary } = await loop.replay({ ...quick, strategy, onFault: 'continue' })
  expect([faults.count, faults.first[0]!.market]).toEqual([1, { symbol: 'BTCUSDT', timeframe: '1h' }])
  expect(faults.first[0]!.problem).toMatch(problem)
  expect(summary.all.signals).toBe(HOURS / 6)
})

test('a strategy may be asynchronous, and must answer in time', async () => {
  const { loop } = loopWithCandles()
  const later: Strategy = async (market, past) => {
    await undefined
    return everySixth(market, past)
  }
  expect((await loop.replay({ ...quick, strategy: later })).summary.all.signals).toBe(HOURS / 6)
  const block = () => {
    for (const end = performance.now() + 300; performance.now() < end; );
    return undefined
  }
  const never = () => new Promise<undefined>(() => {})
  for (const late of [never, block]) {
    const strategy: Strategy = (market, past) => (past.length === 500 ? late() : later(market, past))
    const limited = { ...quick, strategy, timeLimitMs: 250 }
    const error = await failure(() => loop.replay(limited))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(/BTCUSDT 1h that closed at 20.*: took longer than 0.25 s/) })
    const { faults, summary } = await loop.replay({ ...limited, onFault: 'continue' })
    expect(faults).toMatchObject({ count: 1, first: [{ problem: 'took longer than 0.25 s' }] })
    expect(summary.all.signals).toBe(HOURS / 6)
  }
})

test('it reports progress and stops when asked', async () => {
  const { loop } = loopWithCandles()
  const abort = new AbortController()
  const news: ReplayProgress[] = []
  const slow: Strategy = async (market, past) => {
    await new Promise((resolve) => setTimeout(resolve, 5))
    return everySixth(market, past)
  }
  const onProgress = (progress: ReplayProgress) => {
    news.push(progress)
    abort.abort()
  }
  expect(await failure(() => loop.replay({ ...quick, strategy: slow, onProgress, signal: abort.signal }))).toMatchObject({ code: 'ERR_CANCELLED' })
  expect(news[0]).toMatchObject({ run: 0, at: expect.stringMatching(/^20/), signals: expect.any(Number) })
  expect(news[0]!.at >= news[0]!.from && news[0]!.at < news[0]!.until).toBe(true)
})

test.each<[unknown, string]>([
  [{ strategy: everySixth, own: true }, 'must have only one of `signals`, `strategy` and `own`'],
  [{ strategy: 'strategy.mjs' }, 'strategy'],
  [{ own: 'wild' }, 'own'],
  [{ signals: 5 }, 'signals'],
  [{ without: ['model'] }, 'must be one of models, outcomes, gate, conservative'],
  [{ compare: 'models' }, 'compare'],
  [{ strategy: everySixth, from: '2090-01-01' }, 'from'],
  [{ onFault: 'ignore' }, 'onFault'],
  [{ timeLimitMs: 0 }, 'timeLimitMs'],
  [{ threads: 0 }, 'threads'],
  [{ reprot: 'x.html' }, 'reprot'],
  [{ strategy: everySixth, report: 'HOME/feedback/signals.jsonl' }, 'report'],
  [{ strategy: everySixth, csv: 'HOME/replays.jsonl' }, 'csv'],
  [{ fetch: true, candles: 'elsewhere' }, 'fetch'],
])('%j is refused by name', async (options, name) => {
  const { loop, home } = loopWithCandles()
  const placed = Object.fromEntries(Object.entries(options as object).map(([key, value]) => [key, typeof value === 'string' ? value.replace('HOME', home) : value]))
  const error = await failure(() => loop.replay(placed as ReplayOptions))
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(name) })
})

test('without signals or candles it says what is missing', async () => {
  const { loop } = loopWithCandles()
  expect(await failure(() => loop.replay())).toMatchObject({ code: 'ERR_NO_DATA', message: expect.stringMatching(/no signals to replay: record or import some/) })
  const lacking = failure(() => loop.replay({ strategy: everySixth, symbols: ['ETHUSDT'] }))
  expect(await lacking).toMatchObject({ code: 'ERR_NO_DATA', message: expect.stringMatching(/no candles of ETHUSDT 1h: .* does not exist; get them with `signalloop fetch/) })
})

describe('on the command line', () => {
  const signalloop = (home: string, ...args: string[]) =>
    runNode([join(ROOT, 'bin', 'signalloop.js'), ...args], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_STORE: '' } })

  function homeWithStrategy(): { home: string; strategy: string } {
    const [home, place] = [newHome(), newHome()]
    storeCandles(home, candles(HOURS))
    writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: ['BTCUSDT'], timeframes: ['1h'], trees: 10 }))
    const strategy = join(place, 'strategy.mjs')
    writeFileSync(strategy, `export default ${everySixth.toString()}`)
    return { home, strategy }
  }

  test('a strategy is replayed, kept and adopted', async () => {
    const { home, strategy } = homeWithStrategy()
    const [kept, page] = [join(newHome(), 'kept'), join(newHome(), 'replay.html')]
    const ended = await signalloop(home, 'replay', '--strategy', strategy, '--without', 'models', '--keep', kept, '--report', page)
    expect([ended.code, ended.stdout]).toEqual([0, expect.stringMatching(/The signals themselves|Not enough to tell|The first look at these signals/)])
    expect(ended.stdout).toMatch(/^all +160 /m)
    expect(readFileSync(page, 'utf8')).toContain('<html')
    const adopted = await signalloop(home, 'adopt', kept)
    expect([adopted.code, adopted.stdout]).toEqual([0, expect.stringMatching(/: 160 signals, \d+ of them closed/)])
    expect(records(home).size).toBe(160)
    const again = await signalloop(home, 'adopt', kept)
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('it would mix with')])
  })

  test('what another tool wrote is replayed', async () => {
    const home = newHome()
    storeCandles(home, candles(HOURS, { end: Date.UTC(2024, 0, 31) }))
    const file = join(ROOT, 'crates', 'readers', 'tests', 'fixtures', 'freqtrade', 'backtest-result-spot.json')
    const ended = await signalloop(home, 'replay', '--signals', file, '--format', 'freqtrade', '--symbol', 'BTCUSDT', '--without', 'models', '--json')
    const { source, summary, faults, refused } = JSON.parse(ended.stdout)
    expect([ended.code, source, summary.all.signals, faults.count, refused]).toEqual([0, 'signals', 6, 0, []])
    const unnamed = await signalloop(home, 'replay', '--signals', file, '--symbol', 'BTCUSDT', '--json')
    expect([unnamed.code, JSON.parse(unnamed.stdout).error.code]).toEqual([1, 'ERR_NO_DATA'])
    const unknown = await signalloop(home, 'replay', '--signals', file, '--format', 'metatrader')
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('must be one of')])
  })

  test('a strategy that cannot be loaded, or fails, is an error', async () => {
    const { home, strategy } = homeWithStrategy()
    const missing = await signalloop(home, 'replay', '--strategy', join(home, 'none.mjs'), '--json')
    expect([missing.code, JSON.parse(missing.stdout).error.message]).toEqual([1, expect.stringMatching(/none.mjs cannot be loaded: /)])
    writeFileSync(strategy, 'export const strategy = () => undefined')
    const unnamed = await signalloop(home, 'replay', '--strategy', strategy)
    expect([unnamed.code, unnamed.stderr]).toEqual([1, expect.stringContaining('must export a function as its default')])
    writeFileSync(strategy, 'export default () => { throw new Error("broken") }')
    const broken = await signalloop(home, 'replay', '--strategy', strategy, '--without', 'models')
    expect([broken.code, broken.stderr]).toEqual([1, expect.stringMatching(/failed at the candle of BTCUSDT 1h that closed at .*: broken/)])
    const silent = await signalloop(home, 'replay')
    expect([silent.code, silent.stderr]).toEqual([1, expect.stringContaining('there are no signals to replay')])
  })
})
