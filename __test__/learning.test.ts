import { runNode } from './helpers/child'

type Figures = Record<string, { rank: number; information: number; excess: number }>

// `npm run bench:learning` in short, with margins that only a learner meets. docs/learning.md explains the measures.
test('outcomes change what is thought of the next signal, and nothing is learned where there is nothing', async () => {
  const { code, stdout, stderr } = await runNode(['__test__/programs/learning.mjs'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const figures = JSON.parse(stdout) as Figures
  const of = (name: string) => figures[name] ?? { rank: NaN, information: NaN, excess: NaN }

  for (const name of ['textbook', 'textbook-anonymous']) {
    expect(of(name).rank).toBeGreaterThan(0.5)
    expect(of(name).information).toBeGreaterThan(0.25)
  }
  expect(of('none').excess).toBeLessThan(0.02)
}, 120_000)

/** A world of signals that are judged by what is true of them. */
const measures = `
  import { measured } from './benches/learning/measures.mjs'
  import { world } from './benches/learning/worlds.mjs'
  const drawn = world('mixed', 1, 400)
  const questions = drawn.questions(399, drawn.signals[399].t, 1000)
  const share = ({ reached, possible }) => reached / possible
  const of = (answers) => { const { gain, rank, information, excess } = measured(answers, questions); return [gain, rank, information].map(share).concat(excess) }
  const z = (surprises) => surprises.reduce((sum, x) => sum + x, 0) / Math.sqrt(surprises.reduce((sum, x) => sum + x * x, 0))
  const p = questions.reduce((sum, { pTrue }) => sum + pTrue, 0) / questions.length
  console.log(JSON.stringify({
    oracle: of(questions.map(({ pTrue, rTrue }) => ({ p: pTrue, r: rTrue, take: rTrue > 0 }))),
    constant: of(questions.map(() => ({ p, r: 0, take: false }))),
    again: JSON.stringify(world('mixed', 1, 400).signals) === JSON.stringify(drawn.signals),
    luck: ['mixed', 'expiry', 'trailing', 'uneven', 'targets', 'targets-trail'].flatMap((name) => {
      const signals = world(name, 1, 1200).signals
      return [z(signals.map(({ success, pTrue }) => success - pTrue)), z(signals.map((s) => (s.profitPercent - 0.1) / s.stopPercent - s.rTrue))]
    }),
  }))
`
test('the measures give everything to who knows the rules, and nothing to who knows nothing', async () => {
  const { code, stdout, stderr } = await runNode(['--input-type=module', '-'], { input: measures })
  expect([code, stderr]).toEqual([0, ''])
  const { oracle, constant, again, luck } = JSON.parse(stdout) as Record<'oracle' | 'constant' | 'luck', number[]> & { again: boolean }
  const near = (values: number[], expected: number[]) => {
    for (const [i, value] of values.entries()) expect(value).toBeCloseTo(expected[i]!, 9)
  }
  near(oracle, [1, 1, 1, 0])
  near(constant.slice(1, 3), [0, 0])
  expect(constant[0]).toBeLessThanOrEqual(0)
  expect(again).toBe(true)
  // What is said to be true of the signals is true of what became of them.
  expect(luck).toHaveLength(12)
  for (const z of luck) expect(Math.abs(z)).toBeLessThan(3.5)
})
