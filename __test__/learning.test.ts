import { runNode } from './helpers/child'

type Figures = Record<string, { share: number; excess: number; taken: number }>

// `npm run bench:learning` in short, with margins that only a learner meets. docs/learning.md explains the measures.
test('outcomes change what is thought of the next signal, and nothing is learned where there is nothing', async () => {
  const { code, stdout, stderr } = await runNode(['__test__/programs/learning.mjs'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const figures = JSON.parse(stdout) as Figures
  const of = (name: string) => figures[name] ?? { share: NaN, excess: NaN, taken: NaN }

  expect(of('signalloop, steady').share).toBeGreaterThan(0.6)
  expect(of('signalloop, steady').excess).toBeLessThan(of('no learning, steady').excess / 2)
  expect(of('signalloop, none').excess).toBeLessThan(0.02)
  expect(Math.abs(of('signalloop, none').taken)).toBeLessThan(0.03)

  // The measures themselves: they give nothing to those who know nothing.
  expect(of('no learning, steady').share).toBeCloseTo(0, 9)
  expect(Math.abs(of('random, steady').share)).toBeLessThan(0.1)
}, 120_000)
