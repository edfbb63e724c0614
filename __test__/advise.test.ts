import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { SignalLoop } from '..'
import { inBrowser, visit } from './helpers/browser'
import { type Row, storeCandles } from './helpers/candles'
import { ROOT, runNode } from './helpers/child'
import { NOWHERE, newHome, newLoop } from './helpers/home'

const signalloop = (home: string, ...args: string[]) =>
  runNode([join(ROOT, 'bin', 'signalloop.js'), ...args], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE } })

const HOUR = 3_600_000
const WEEK = 168 * HOUR
/** A Monday. */
const BEGAN = Date.parse('2025-01-06T00:00:00Z')
const WEEKS = 64

/** Hourly candles: each week a price of 100 falls to 97, in every fourth week only to 99, rises to 105, and falls to 99. */
const candles = (): Row[] =>
  Array.from({ length: (WEEKS + 1) * 168 }, (_, at): Row => {
    const hours: [number, number, number, number][] = [
      [100, 100.5, 99, 99.5],
      [99.5, 100, Math.floor(at / 168) % 4 === 0 ? 99 : 97, 99.8],
      [99.8, 105, 99.5, 104.5],
      [104.5, 104.6, 98.9, 99],
    ]
    return [BEGAN + at * HOUR, ...(hours[at % 168] ?? [99, 99, 99, 99]), 1]
  })

/** A BUY at the beginning of a week, as it is in a log: stop 2 %, target 4 %, 8 hours. */
const line = (week: number, more: object = {}): string =>
  JSON.stringify({
    signal_id: `s${week}`,
    symbol: 'BTCUSDT',
    timeframe: '1h',
    signal_type: 'BUY',
    confidence: 60,
    entry_price: 100,
    stop_loss: 98,
    take_profit: 104,
    timestamp: new Date(BEGAN + week * WEEK).toISOString(),
    expires_at: new Date(BEGAN + week * WEEK + 8 * HOUR).toISOString(),
    strategy: 'dip',
    outcome: week % 4 === 0 ? 'TOOK_PROFIT' : 'STOPPED_OUT',
    exit_price: week % 4 === 0 ? 104 : 98,
    profit_loss_percent: week % 4 === 0 ? 4 : -2,
    closed_at: new Date(BEGAN + week * WEEK + 3 * HOUR).toISOString(),
    ...more,
  })

/** A home with these signals, and with candles. */
async function traded(lines: string[]): Promise<SignalLoop> {
  const home = newHome()
  const file = join(home, 'other.jsonl')
  writeFileSync(file, `${lines.join('\n')}\n`)
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ fee_bps: 20 }))
  storeCandles(home, candles())
  const loop = newLoop({ home })
  expect(await loop.feedbackTracker.importSignals(file)).toMatchObject({ imported: lines.length, refused: [] })
  return loop
}

const weeks = (): string[] => Array.from({ length: WEEKS }, (_, week) => line(week))

test('signals are replayed with other levels, as worked out by hand', async () => {
  const { feedbackTracker } = await traded(weeks())
  const advice = await feedbackTracker.advise()
  expect([advice.finding, advice.alternatives, advice.strategies.length, advice.older, advice.moreStrategies]).toEqual(['better', 30, 1, 0, 0])
  const [dip] = advice.strategies
  expect([dip!.strategy, dip!.signals, dip!.clusters, dip!.unclear, dip!.leftOut]).toEqual(['dip', WEEKS, WEEKS, 0, { withoutStop: 0, managed: 0, notCovered: 0 }])
  // Stopped in three of four weeks: (−2 − 0.2) / 2; else (4 − 0.2) / 2.
  expect(dip!.own!.meanR).toBeCloseTo(0.75 * -1.1 + 0.25 * 1.9, 9)
  expect(dip!.own).toMatchObject({ stop: 1, target: 1, expiry: 1, successShare: 0.25, meanHoldingMs: 2.25 * HOUR })
  // A stop at 96 is never touched: (4 − 0.2) / 4, in units of its own risk.
  expect(dip!.best).toMatchObject({ stop: 2, target: 1, expiry: 1, successShare: 1, turned: 48 })
  expect([dip!.best!.meanR, dip!.best!.differenceR].map((r) => r.toFixed(9))).toEqual(['0.950000000', '1.300000000'])
  const { low, high } = dip!.best!.interval!
  expect(0 < low && low < 1.3 && 1.3 < high).toBe(true)
  expect(dip!.usual).toMatchObject({ stopPercent: 2, targetPercent: 4, expiryMs: 8 * HOUR })
  expect(advice.verdict).toMatch(/^with the stop at .* instead of .*: \+1\.30 R a signal \[.*\], of which 0\.05 R are lower costs, which makes \+0\.95 R instead of -0\.35 R; 64 signals and 30 alternatives looked at$/)
  // The winners fell to 99 first, half of their risk; the losers reached 100.5.
  expect(dip!.excursions).toMatchObject({ winnersMaeR: { signals: 16, p50: 0.5, p80: 0.5, p90: 0.5 }, losersMfeR: { signals: 48, p50: 0.25, p90: 0.25 } })
  expect(dip!.excursions!.words[0]).toBe('90 % of the winners never went further against you than 0.50 R, half of them no further than 0.50 R')
})

test('what cannot be replayed is counted, and options select signals', async () => {
  const others = [
    line(0, { signal_id: 'bare', stop_loss: undefined, strategy: 'bare' }),
    line(1, { signal_id: 'eth', symbol: 'ETHUSDT', strategy: undefined }),
    line(2, { signal_id: '4h', timeframe: '4h' }),
  ]
  const { feedbackTracker } = await traded([...weeks(), ...others])
  const all = await feedbackTracker.advise()
  expect(all.strategies.map(({ strategy, signals, leftOut, finding }) => [strategy, signals, leftOut.withoutStop, leftOut.notCovered, finding])).toEqual([
    ['dip', WEEKS + 1, 0, 0, 'better'],
    [undefined, 0, 0, 1, 'notEnough'],
    ['bare', 0, 1, 0, 'notEnough'],
  ])
  expect(all.verdict).toBe('other levels would certainly have brought more in 1 of 1 strategies: dip')
  const narrow = await feedbackTracker.advise({ strategy: 'dip', symbol: 'BTC/USDT', timeframe: '1h', since: BEGAN + 44 * WEEK })
  expect([narrow.strategies.length, narrow.strategies[0]!.signals, narrow.strategies[0]!.best]).toEqual([1, 20, undefined])
  expect(narrow.verdict).toBe('not enough to tell: 20 signals replayed, in 20 stretches of time; it takes 30 in 8')
  expect((await feedbackTracker.advise({ timeframe: '4h' })).strategies[0]!.signals).toBe(1)
  expect((await newLoop().feedbackTracker.advise()).verdict).toBe('not enough to tell: no closed signals')
})

test('signalloop advise prints the same, for people and for scripts', async () => {
  const loop = await traded(weeks())
  const api = await loop.feedbackTracker.advise()
  await loop.close()
  const told = await signalloop(loop.home, 'advise')
  expect([told.code, told.stderr, told.stdout.split('\n')[0]]).toEqual([0, '', api.verdict])
  expect(told.stdout).toMatch(/× 1 +× 1 +× 1 +-0\.350 +– +– +25\.0 % +2\.2 h/)
  expect(told.stdout).toMatch(/× 2 +× 1 +× 1 +\+0\.950 +\+1\.300 \[\+\d\.\d{3}, \+\d\.\d{3}\] +48 +100\.0 %/)
  expect(told.stdout).toContain('90 % of the winners never went further against you than 0.50 R')
  expect(JSON.parse((await signalloop(loop.home, 'advise', '--strategy', 'dip', '--json')).stdout)).toEqual(api)
  expect((await signalloop(newHome(), 'advise')).stdout).toContain('not enough to tell: no closed signals')
})

test('a candle file that must be repaired is told', async () => {
  const loop = await traded([line(0)])
  const [first, ...rest] = candles()
  storeCandles(loop.home, [first!, first!, ...rest])
  await expect(loop.feedbackTracker.advise()).rejects.toMatchObject({ code: 'ERR_INVALID_CANDLE', message: expect.stringContaining('signalloop fetch') })
})

inBrowser('the report has a section of it', async () => {
  const loop = await traded(weeks())
  const { path, problems } = await loop.report()
  expect(problems).toEqual([])
  const { page, errors } = await visit(pathToFileURL(path).href)
  const text = await page.locator('#advice').innerText()
  for (const part of ['With the stop at', '+1.30 R a signal', '64 signals replayed', '90 % of the winners']) expect(text).toContain(part)
  await page.locator('#advice summary').click()
  expect(await page.locator('#advice table').innerText()).toMatch(/× 2[\s\S]*\+1\.300 \[/)
  expect(errors).toEqual([])
  await page.close()
  await loop.close()
})
