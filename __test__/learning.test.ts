import { runNode } from './helpers/child'

/** What the benchmark says of one contender in one market: at each checkpoint, and in all. */
interface Found {
  at: Record<string, { share: number; excess: number; taken: number }>
}

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

// A short run of `npm run bench:learning`, with margins that a learner which learns never misses, and one which does not never meets.
test('outcomes change what is thought of the next signal, and nothing is learned where there is nothing', async () => {
  const { code, stdout, stderr } = await runNode(['benches/learning.mjs', '--quick', '--seeds', '4', '--peers', 'none', '--json'])
  expect({ code, stderr }).toMatchObject({ code: 0 })
  const { figures } = JSON.parse(stdout) as { figures: Record<string, Record<string, Record<string, Found>>> }
  const figure = (contender: string, variant: string, known: number, measure: 'share' | 'excess' | 'taken') => {
    const seeds = Object.values(figures[contender]?.[variant] ?? {})
    expect(seeds).toHaveLength(4)
    return mean(seeds.map(({ at }) => at[known]?.[measure] ?? NaN))
  }

  expect(figure('signalloop', 'steady', 300, 'share')).toBeGreaterThan(0.6)
  expect(figure('signalloop', 'steady', 300, 'excess')).toBeLessThan(figure('no learning', 'steady', 300, 'excess') / 2)
  expect(figure('signalloop', 'flip', 640, 'share')).toBeGreaterThan(0.3)
  expect(figure('signalloop', 'none', 900, 'excess')).toBeLessThan(0.02)
  expect(Math.abs(figure('signalloop', 'none', 900, 'taken'))).toBeLessThan(0.03)

  // The measures themselves: they give nothing to those who know nothing.
  expect(figure('no learning', 'steady', 300, 'share')).toBeCloseTo(0, 9)
  expect(Math.abs(figure('random', 'steady', 300, 'share'))).toBeLessThan(0.15)
}, 120_000)
