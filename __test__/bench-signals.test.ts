import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runNode } from './helpers/child'

interface Row { id: string; t: number; closed: number; success: number; profitPercent: number; expected: { closed: number; success: number; profitPercent: number } }

/** Plays on candles that walk at random, and decides each signal once more by a plain look at the candles after it. */
const played = (home: string) => `
  import { generator, normal } from './benches/learning/random.mjs'
  import { play, STOP_ATR, REWARD_RISK, EXPIRY_HOURS } from './benches/signals/play.mjs'
  import { seriesOf } from './benches/signals/series.mjs'
  import { STRATEGIES } from './benches/signals/strategies.mjs'
  const [HOUR, FROM, next] = [3600000, Date.UTC(2024, 0, 1), generator(1, 1)]
  let price = 100
  const candles = Array.from({ length: 700 }, (_, i) => {
    const open = price
    const path = Array.from({ length: 6 }, () => (price *= Math.exp(0.003 * normal(next))))
    return [FROM + i * HOUR, open, Math.max(open, ...path), Math.min(open, ...path), price, 100 + 50 * next()]
  })
  const { rows } = await play({
    home: ${JSON.stringify(home)}, markets: new Map([['BTCUSDT', candles]]), from: FROM, until: FROM + 700 * HOUR, refitDays: 91,
    strategies: Object.keys(STRATEGIES), candles: false,
  })
  const { atr } = seriesOf(candles)
  const decided = ({ t, direction, stopPercent }) => {
    const entry = candles.findIndex(([open]) => open === t - HOUR)
    const at = candles[entry][4]
    const profit = (exit) => (100 * direction * (exit - at)) / at
    const [stop, target] = [at * (1 - direction * stopPercent / 100), at * (1 + direction * REWARD_RISK * stopPercent / 100)]
    if (Math.abs(Math.abs(at - stop) - STOP_ATR * atr[entry]) > 1e-9) throw new Error('the stop is elsewhere')
    for (let k = 1; k <= EXPIRY_HOURS; k++) {
      const [open, , high, low, close] = candles[entry + k]
      const [worst, best] = direction > 0 ? [low, high] : [high, low]
      const closed = open + HOUR
      if (direction * (worst - stop) <= 0) return { closed, success: 0, profitPercent: profit(stop) }
      if (direction * (best - target) >= 0) return { closed, success: 1, profitPercent: profit(target) }
      if (k === EXPIRY_HOURS) return { closed, success: Number(profit(close) > 0), profitPercent: profit(close) }
    }
  }
  console.log(JSON.stringify(rows.map((row) => ({ ...row, expected: decided(row) }))))
`

test('signals of the bench are closed as the candles after their entry say', async () => {
  const home = mkdtempSync(join(tmpdir(), 'signalloop-test-'))
  try {
    const { code, stdout, stderr } = await runNode(['--input-type=module', '-'], { input: played(home) })
    expect([code, stderr]).toEqual([0, ''])
    const rows = JSON.parse(stdout) as Row[]
    expect(rows.length).toBeGreaterThan(50)
    expect(new Set(rows.map(({ success }) => success)).size).toBe(2)
    for (const { id, t, closed, success, profitPercent, expected } of rows) {
      expect([id, closed, success]).toEqual([id, expected.closed, expected.success])
      expect(profitPercent).toBeCloseTo(expected.profitPercent, 6)
      expect(closed).toBeGreaterThan(t)
    }
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}, 60_000)

/** Twenty weeks of five signals: known when the next week begins. */
const judged = `
  import { breakEven, judge, runningMean } from './benches/signals/judge.mjs'
  const [HOUR, WEEK] = [3600000, 7 * 86400000]
  const rows = Array.from({ length: 100 }, (_, i) => {
    const t = Math.floor(i / 5) * WEEK + (i % 5) * HOUR
    const success = Number(i % 2 === 0)
    return { t, closed: t + WEEK / 2, success, stopPercent: 2, rewardRisk: 1, profitPercent: success ? 2 : -2 }
  })
  const means = runningMean(rows)
  const knowing = judge(rows, rows.map(({ success }) => ({ p: success ? 0.9 : 0.1, take: success === 1 })), means)
  const nothing = judge(rows, means.map((p) => ({ p, take: true })), means)
  console.log(JSON.stringify({ means: [means[0], means[4], means[5], means[99]], breakEven: breakEven(rows[0]), knowing, nothing }))
`

test('the measures of the bench know what had closed, and tell knowledge from none', async () => {
  const { code, stdout, stderr } = await runNode(['--input-type=module', '-'], { input: judged })
  expect([code, stderr]).toEqual([0, ''])
  const { means, breakEven, knowing, nothing } = JSON.parse(stdout)
  // 100 outcomes at the levels' chance before; then five a week, of which three succeeded in the first.
  const expected = [0.5, 0.5, 53 / 105, (50 + 48) / 195]
  for (const [i, mean] of (means as number[]).entries()) expect(mean).toBeCloseTo(expected[i]!, 9)
  expect(breakEven).toBeCloseTo(0.525, 9)
  expect(knowing.auc).toBe(1)
  expect(knowing.excess.high).toBeLessThan(-0.5)
  expect([knowing.take.mean, knowing.left.mean, knowing.all.mean, knowing.gain.mean].map((r) => Number(r.toFixed(9)))).toEqual([0.95, -1.05, -0.05, 1])
  expect(nothing.excess).toEqual({ mean: 0, low: 0, high: 0 })
  expect([nothing.taken, nothing.gain.mean]).toEqual([100, 0])
})
