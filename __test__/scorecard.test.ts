import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { SignalLoop } from '..'
import { inBrowser, visit } from './helpers/browser'
import { ROOT, runNode } from './helpers/child'
import { NOWHERE, newHome, newLoop } from './helpers/home'

const signalloop = (home: string, ...args: string[]) =>
  runNode([join(ROOT, 'bin', 'signalloop.js'), ...args], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE } })

const WEEK = 7 * 86_400_000
/** A Monday. */
const BEGAN = Date.parse('2025-01-06T00:00:00Z')

/** A line as it is in the log, of a signal that was recorded in a week, closed an hour later, and of which something was said. */
const line = (week: number, take: boolean, succeeds: boolean, more: object = {}): string =>
  JSON.stringify({
    signal_id: `s${week}${take}`,
    symbol: 'BTCUSDT',
    timeframe: '1h',
    signal_type: 'BUY',
    confidence: 60,
    entry_price: 100,
    stop_loss: 98,
    take_profit: 104,
    timestamp: new Date(BEGAN + week * WEEK).toISOString(),
    said: {
      probability: take ? 0.8 : 0.2, interval: [0.1, 0.9], base_rate: 0.5, prior: 0.4, shaped: false,
      expected_r: take ? 1 : -0.5, expected_r_interval: [-1, 1.5], departures: [0, 0.1, 0, -0.1], take, outcomes: week,
    },
    outcome: succeeds ? 'TOOK_PROFIT' : 'STOPPED_OUT',
    exit_price: succeeds ? 104.2 : 98.2,
    profit_loss_percent: succeeds ? 4.2 : -1.8,
    closed_at: new Date(BEGAN + week * WEEK + 3_600_000).toISOString(),
    ...more,
  })

/** Sixteen weeks: in every other one a signal to take that wins, else one to leave that loses. */
const lines = (): string[] => {
  const more = (week: number): object => ({ strategy: week < 8 ? 'early' : 'late', ...(week % 4 === 3 ? { taken: false } : {}) })
  return Array.from({ length: 16 }, (_, week) => line(week, week % 2 === 0, week % 2 === 0, more(week)))
}

async function judged(said: string[]): Promise<SignalLoop> {
  const home = newHome()
  const file = join(home, 'other.jsonl')
  writeFileSync(file, `${said.join('\n')}\n`)
  const loop = newLoop({ home })
  // 20 basis points: 0.2 % of the entry.
  loop.configure({ feeBps: 20 })
  expect(await loop.feedbackTracker.importSignals(file)).toMatchObject({ imported: said.length, refused: [] })
  return loop
}

test('a scorecard judges what was said by what came, as worked out by hand', async () => {
  const { feedbackTracker } = await judged(lines())
  const card = await feedbackTracker.scorecard()
  expect(card).toMatchObject({ finding: 'adds', verdict: 'assess adds 1.50 R per signal [0.75, 2.25]' })
  const { logLoss, realisedR, ...score } = card.overall!
  expect(score).toEqual({ signals: 16, followed: 4, clusters: 16, successShare: 0.5, meanProbability: 0.5 })
  expect(logLoss.probability).toBeCloseTo(-Math.log(0.8), 9)
  expect(logLoss.baseRate).toBeCloseTo(Math.LN2, 9)
  expect(logLoss.prior).toBeCloseTo(-(Math.log(0.4) + Math.log(0.6)) / 2, 9)
  expect(logLoss.againstBaseRate.mean).toBeCloseTo(-Math.log(0.8) - Math.LN2, 9)
  // (4.2 − 0.2) / 2 and (−1.8 − 0.2) / 2.
  expect([realisedR!.take!.mean, realisedR!.left!.mean, realisedR!.all.mean, realisedR!.gain!.mean].map((r) => r.toFixed(9))).toEqual(['2.000000000', '-1.000000000', '0.500000000', '1.500000000'])
  expect(card.byStrategy.map(({ name, score }) => [name, score.signals, score.realisedR?.gain?.interval])).toEqual([
    ['early', 8, undefined],
    ['late', 8, undefined],
  ])
  expect(card.byMonth.map(({ name }) => name)).toEqual(['2025-01', '2025-02', '2025-03', '2025-04'])
  expect(card.calibration.reduce((sum, { came }) => sum + came.signals, 0)).toBe(16)

  const narrow = await feedbackTracker.scorecard({ since: BEGAN + 4 * WEEK, strategy: 'early', symbol: 'BTC/USDT' })
  expect([narrow.finding, narrow.verdict, narrow.overall?.signals]).toEqual(['notEnough', 'not enough to tell: 4 closed signals in 4 weeks', 4])
  expect((await feedbackTracker.scorecard({ symbol: 'ETHUSDT' })).overall).toBeUndefined()
  expect((await newLoop().feedbackTracker.scorecard()).verdict).toContain('nothing to judge yet')
})

test('what was said stands beside what was recorded, whatever closes it', async () => {
  const open = { outcome: 'ACTIVE', exit_price: undefined, profit_loss_percent: undefined, closed_at: undefined }
  const loop = await judged([line(0, true, true, open), line(1, false, false, { ...open, stop_loss: undefined })])
  const { feedbackTracker } = loop
  expect((await feedbackTracker.scorecard()).overall).toBeUndefined()
  await feedbackTracker.onPrice('BTCUSDT', 104.2, BEGAN + 2 * WEEK)
  await loop.close()
  const again = newLoop({ home: loop.home })
  const { overall } = await again.feedbackTracker.scorecard()
  // Of the one without a stop, probabilities alone are judged.
  expect([overall?.signals, overall?.successShare, overall?.realisedR?.all.signals]).toEqual([2, 1, 1])
  await again.close()
})

test('signalloop scorecard prints the same, for people and for scripts', async () => {
  const loop = await judged(lines())
  const [api, none] = [await loop.feedbackTracker.scorecard({ strategy: 'late' }), newHome()]
  await loop.close()
  writeFileSync(join(loop.home, 'training_config.json'), JSON.stringify({ fee_bps: 20 }))
  const told = await signalloop(loop.home, 'scorecard')
  expect([told.code, told.stderr, told.stdout.split('\n')[0]]).toEqual([0, '', 'assess adds 1.50 R per signal [0.75, 2.25]'])
  expect(told.stdout).toMatch(/all +16 +50\.0 % +50\.0 % +0\.2231 +-0\.4700 \[-0\.4700, -0\.4700\] +\+0\.50 +\+2\.00 +-1\.00 +\+1\.50 \[\+0\.75, \+2\.25\]/)
  expect(told.stdout).toContain('4 of 16 were tracked but not traded')
  const document = JSON.parse((await signalloop(loop.home, 'scorecard', '--strategy', 'late', '--json')).stdout)
  expect(document).toEqual(api)
  expect((await signalloop(none, 'scorecard')).stdout).toContain('nothing to judge yet')
})

inBrowser('the report has a section of it, and one of what was followed', async () => {
  const loop = await judged(lines())
  const { path } = await loop.report()
  const { page, errors } = await visit(pathToFileURL(path).href)
  const text = await page.locator('#scorecard').innerText()
  for (const part of ['Assess adds 1.50 R per signal [0.75, 2.25].', '4 of them were followed', '+1.50 [+0.75, +2.25]', 'early', '2025-04']) expect(text).toContain(part)
  const symbols = await page.locator('#symbols').innerText()
  for (const part of ['By strategy', 'late', 'Followed, not traded']) expect(symbols).toContain(part)
  expect(errors).toEqual([])
  await page.close()
  await loop.close()
})
