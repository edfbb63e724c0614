// From the figures of all seeds to tables.
import { intoPage, markdown, text } from '../shared/page.mjs'
import { AFTER_FLIP, BEFORE_FLIP, CHECKPOINTS } from './cases.mjs'
import { draw } from './curve.mjs'
import { overSeeds, pooledCalibrationError } from './measures.mjs'

const OURS = 'signalloop'

const written = ({ mean, margin }, digits) =>
  mean.toFixed(digits) + (margin === undefined ? '' : ` ± ${margin.toFixed(digits)}`)
const percent = (values) => written(overSeeds(values.map((value) => 100 * value)), 1)
const fraction = (values) => written(overSeeds(values), 3)
const shortly = (values, digits = 0) => overSeeds(values.map((value) => 100 * value)).mean.toFixed(digits)

/** What `pick` finds in each seed's figures of a variant. `figures[contender][variant][seed]` */
const each = (figures, contender, variant, pick) => Object.values(figures[contender][variant]).map(pick)
const at = (figures, contender, variant, known, measure) =>
  each(figures, contender, variant, (found) => found.at[known][measure])

/** Our lead over the peer that comes nearest, seed by seed on the same signals. */
function lead(figures, values) {
  const leads = Object.keys(figures)
    .filter((name) => name !== OURS)
    .map((name) => {
      const theirs = values(name)
      return { name, theirs, leads: values(OURS).map((ours, seed) => ours - theirs[seed]) }
    })
  return leads.sort((a, b) => overSeeds(a.leads).mean - overSeeds(b.leads).mean)[0]
}

const POINTS = [
  { what: 'after 70 signals', variant: 'steady', known: 70, target: 0.55 },
  { what: 'after 150', variant: 'steady', known: 150 },
  { what: 'after 300', variant: 'steady', known: 300, target: 0.8 },
  { what: 'after 900', variant: 'steady', known: 900, target: 0.92 },
  { what: '150 after the flip', variant: 'flip', known: AFTER_FLIP, target: 0.7 },
]

const yes = (reached) => (reached === undefined ? 'not measured' : reached ? 'yes' : '**no**')

function shareGoal(figures, complete, { what, variant, known, target }) {
  const values = (name) => at(figures, name, variant, known, 'share')
  const nearest = lead(figures, values)
  const mean = overSeeds(values(OURS)).mean
  const missed = (target !== undefined && mean < target) || overSeeds(nearest.leads).mean <= 0
  return {
    what: `share of the possible gain ${what}, %`,
    ours: percent(values(OURS)),
    peer: `${percent(nearest.theirs)} (${nearest.name})`,
    lead: percent(nearest.leads),
    target: target === undefined ? 'ahead' : `≥ ${Math.round(100 * target)}, ahead`,
    reached: missed ? false : complete ? true : undefined,
  }
}

function goals(figures, complete) {
  const shares = POINTS.map((point) => shareGoal(figures, complete, point))
  const before = at(figures, OURS, 'flip', BEFORE_FLIP, 'share')
  const after = at(figures, OURS, 'flip', AFTER_FLIP, 'share')
  const regained = after.map((share, seed) => share / before[seed])
  const calibration = at(figures, OURS, 'steady', 300, 'calibration')
  const pooled = pooledCalibrationError(at(figures, OURS, 'steady', 300, 'reliability'))
  const [taken, claimed] = ['taken', 'claimed'].map((measure) => at(figures, OURS, 'none', 900, measure))
  const misled = each(figures, OURS, 'none', ({ patterns }) => Number(patterns > 0))
  return [
    ...shares,
    { what: 'context: the same, of what it was before the flip, %', ours: percent(regained) },
    {
      what: 'calibration error after 300, all markets together',
      ours: pooled.toFixed(3),
      target: '≤ 0.03',
      reached: pooled <= 0.03,
    },
    {
      what: 'context: the same of each market by itself (the base rate alone has as much as "no learning" below)',
      ours: fraction(calibration),
    },
    {
      what: 'no rules, after 900: taken above all, points',
      ours: percent(taken),
      target: 'within 1',
      reached: Math.abs(overSeeds(taken).mean) <= 0.01,
    },
    { what: 'context: what it claims of them above the true rate, points', ours: percent(claimed) },
    {
      what: 'no rules: seeds in which any pattern is reported, %',
      ours: shortly(misled, 1),
      target: '≤ 5',
      reached: overSeeds(misled).mean <= 0.05,
    },
  ]
}

const goalsTable = (goals) => [
  ['', 'signalloop', 'nearest peer', 'lead, points', 'target', 'reached'],
  ...goals.map(({ what, ours, peer = '', lead = '', target = '', reached }) => [
    what, ours, peer, lead, target, target === '' ? '' : yes(reached),
  ]),
]

const contendersTable = (figures) => [
  [
    '', ...POINTS.map(({ what }) => what), 'calibration error after 300',
    'log loss above the oracle\'s after 70', 'after 300', 'after 900', 'no rules, after 900', 'CPU s a market',
  ],
  ...Object.keys(figures).map((name) => [
    name,
    ...POINTS.map(({ variant, known }) => percent(at(figures, name, variant, known, 'share'))),
    fraction(at(figures, name, 'steady', 300, 'calibration')),
    ...[70, 300, 900].map((known) => fraction(at(figures, name, 'steady', known, 'excess'))),
    fraction(at(figures, name, 'none', 900, 'excess')),
    overSeeds(each(figures, name, 'flip', ({ seconds }) => seconds)).mean.toPrecision(2),
  ]),
]

function weeksTable(figures) {
  const names = Object.keys(figures)
  const weeks = each(figures, OURS, 'flip', (found) => found.weeks)[0].length
  const of = (name, week, measure) => each(figures, name, 'flip', (found) => found.weeks[week][measure])
  return [
    ['week', 'all', 'taken', 'oracle\'s half', ...names.map((name) => `share: ${name}`)],
    ...Array.from({ length: weeks }, (_, week) => [
      `${week + 1}`,
      shortly(of(OURS, week, 'all'), 1),
      percent(of(OURS, week, 'taken')),
      shortly(of(OURS, week, 'oracle'), 1),
      percent(of(OURS, week, 'share')),
      ...names.filter((name) => name !== OURS).map((name) => shortly(of(name, week, 'share'))),
    ]),
  ]
}

/** The tables and what they say, as data too. `complete`: all peers have played. */
export function report(figures, { complete }) {
  const found = goals(figures, complete)
  const tables = [
    { title: 'Goals', lines: goalsTable(found) },
    { title: 'Share of the possible gain, by contender', lines: contendersTable(figures) },
  ]
  const weeks = weeksTable(figures)
  if (weeks.length > 1) tables.push({ title: 'Week by week, the rules turned round at the start of week 8', lines: weeks })
  return { goals: found, tables }
}

const aboutMachine = (m) =>
  `${m.cpu}, ${m.system}, Node ${m.node}; ${m.seeds} seeds, mean ± half a 95 % interval over them; ${m.peers}; ` +
  `${m.seconds} s in all. CPU seconds are of one market of 910 signals, ` +
  `${m.quick ? 'Python peers fitted at the checkpoints only' : 'all fitted daily'}.`

export const table = (machine, { tables }) =>
  [aboutMachine(machine), ...tables.flatMap(({ title, lines }) => ['', title, '', text(lines)])].join('\n')

export function toFile(machine, { tables }) {
  const sections = tables.flatMap(({ title, lines }) => ['', `### ${title}`, '', markdown(lines)])
  intoPage('learning.md', 'bench:learning', [aboutMachine(machine), ...sections].join('\n'))
  draw()
}
