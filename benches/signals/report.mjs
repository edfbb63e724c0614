// Turns predictions for signals into tables.
import { breakEven, judge } from './judge.mjs'

const OURS = 'signalloop'
/** Peers give a probability; they take signals above break-even. */
const takers = (rows, stated) => rows.map((row, i) => ({ p: stated[i], take: stated[i] > breakEven(row) }))
const year = ({ t }) => `${new Date(t).getUTCFullYear()}`

/**
 * The figures of every learner: of all signals, of each strategy, of each year. `rows` are the signals with what signalloop said;
 * `others` the probabilities of each peer, in the same order; `means` the running mean.
 */
export function figuresOf(rows, others, means) {
  const learners = {
    [OURS]: rows.map(({ p, take }) => ({ p, take })),
    ...Object.fromEntries(Object.entries(others).map(([name, stated]) => [name, takers(rows, stated)])),
    'running mean of outcomes': takers(rows, means),
  }
  const kinds = (kind, of) => [...new Set(rows.map(of))].map((name) => ({ kind, part: name, belongs: (row) => of(row) === name }))
  const parts = [{ kind: 'all', part: 'all', belongs: () => true }, ...kinds('strategy', ({ strategy }) => strategy), ...kinds('year', year)]
  return parts.flatMap(({ kind, part, belongs }) => {
    const chosen = rows.flatMap((row, i) => (belongs(row) ? [i] : []))
    const of = (values) => chosen.map((i) => values[i])
    return Object.entries(learners).map(([learner, answers]) => ({ kind, part, learner, ...judge(of(rows), of(answers), of(means)) }))
  })
}

function between({ mean, low, high }, digits, times = 1) {
  const written = (value) => (times * value).toFixed(digits)
  return Number.isNaN(mean) ? '' : written(mean) + (low === undefined ? '' : ` [${written(low)}, ${written(high)}]`)
}

export const figuresTable = (figures) => [
  ['signals of', 'learner', 'log loss × 10⁻³ above the running mean', 'AUC', 'taken', 'mean R taken', 'left', 'all', 'taken less all', 'mean p', 'true'],
  ...figures.map((f) => [
    `${f.part} (${f.signals})`, f.learner, between(f.excess, 2, 1000), f.auc.toFixed(3), `${f.taken}`, between(f.take, 3), between(f.left, 3),
    between(f.all, 3), between(f.gain, 3), f.meanStated.toFixed(3), f.meanTrue.toFixed(3),
  ]),
]

/** The targets on all signals of 2021 to 2024. */
export function goalsTable(figures) {
  const ours = figures.filter(({ learner }) => learner === OURS)
  const all = ours.find(({ kind }) => kind === 'all')
  const worst = ours.filter(({ kind }) => kind === 'strategy').sort((a, b) => b.excess.mean - a.excess.mean)[0]
  const goals = [
    ['log loss × 10⁻³ above the running mean', between(all.excess, 2, 1000), '≤ −2.0, interval below 0', all.excess.mean <= -0.002 && all.excess.high < 0],
    ['that of the strategy where it is highest', `${between(worst.excess, 2, 1000)} (${worst.part})`, '≤ 0.3', worst.excess.mean <= 0.0003],
    ['AUC', all.auc.toFixed(3), '≥ 0.535', all.auc >= 0.535],
    ['mean R of taken less that of all', between(all.gain, 3), '≥ 0.07, interval above 0', all.gain.mean >= 0.07 && all.gain.low > 0],
    ['mean p less the share of successes', (all.meanStated - all.meanTrue).toFixed(4), 'within 0.005', Math.abs(all.meanStated - all.meanTrue) <= 0.005],
  ]
  return [['', OURS, 'target', 'reached'], ...goals.map(([what, found, target, reached]) => [what, found, target, reached ? 'yes' : '**no**'])]
}
