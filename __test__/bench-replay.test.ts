import { runNode } from './helpers/child'

/** What the rules of the bench say of a walk one candle at a time, and what those of `bench:signals` say of whole series of it. */
const compared = `
  import { generator, normal } from './benches/learning/random.mjs'
  import { Rules, WARM_UP } from './benches/replay/rules.mjs'
  import { seriesOf } from './benches/signals/series.mjs'
  import { STRATEGIES, strategiesOf } from './benches/signals/strategies.mjs'
  const next = generator(3, 1)
  let price = 100
  const candles = Array.from({ length: 3000 }, (_, i) => {
    const open = price
    const path = Array.from({ length: 6 }, () => (price *= Math.exp(0.003 * normal(next))))
    return [i, open, Math.max(open, ...path), Math.min(open, ...path), price, 1]
  })
  const [series, rules] = [seriesOf(candles), new Rules()]
  const rows = candles.map(([i, , high, low, close]) => {
    const said = rules.add(high, low, close)
    const expected = strategiesOf('textbook').map((name) => [name, STRATEGIES[name](series, i, i - 1)]).filter(([, side]) => side !== 0)
    return { said, expected: i < WARM_UP ? [] : expected, atr: rules.atr / series.atr[i] }
  })
  console.log(JSON.stringify(rows))
`

test('the rules of the bench of replays are those of bench:signals, one candle at a time', async () => {
  const { code, stdout, stderr } = await runNode(['--input-type=module', '-'], { input: compared })
  expect([code, stderr]).toEqual([0, ''])
  const rows = JSON.parse(stdout) as { said: [string, number][]; expected: [string, number][]; atr: number }[]
  const said = rows.flatMap(({ said }) => said)
  expect(new Set(said.map(([name, side]) => `${name} ${side}`)).size).toBe(10)
  expect(rows.map(({ said }) => said)).toEqual(rows.map(({ expected }) => expected))
  for (const { atr } of rows) expect(atr).toBeCloseTo(1, 12)
})
