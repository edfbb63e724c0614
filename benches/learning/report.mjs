// From the figures of all worlds and seeds to tables.
import { intoPage, markdown, text } from '../shared/page.mjs'
import { estimate, mean } from './measures.mjs'
import { isNothing } from './worlds.mjs'

export const [OURS, FOUR] = ['signalloop', 'mean of four']
const MEASURES = {
  gain: 'Share of the possible gain: R a signal of those taken, %',
  rank: 'Share of the possible ranking: R of the better half, %',
  information: 'Share of the information, %',
}

/**
 * Shares of the possible, one a seed, of a contender in a world at a checkpoint; `undefined` where it did not play. The possible is
 * the mean over the seeds, so that a seed in which little is possible does not count for more.
 */
function shares(figures, world, known, measure, contender) {
  const seeds = figures[world][contender]
  if (!seeds) return undefined
  const found = seeds.map((at) => at[known][measure])
  const possible = mean(found.map((figure) => figure.possible))
  return found.map(({ reached }) => reached / possible)
}

const percent = (value) => (100 * value).toFixed(0)
const within = ({ mean, error }, digits = 0) => (100 * mean).toFixed(digits) + (error === undefined ? '' : ` ± ${(100 * error).toFixed(digits)}`)
/** What our lead says, seed by seed on the same worlds: whether its 95 % interval lies above 0, below, or about it. */
function verdict(ours, theirs) {
  const { mean, margin } = estimate(ours.map((value, i) => value - theirs[i]))
  return margin === undefined ? '' : mean > margin ? 'ahead' : mean < -margin ? 'behind' : 'even'
}

/** Ours beside the best single peer and the mean of four; `verdict` is over the best single peer. */
function compared(figures, world, known, measure) {
  const of = (contender) => shares(figures, world, known, measure, contender)
  const ours = of(OURS)
  const peers = Object.keys(figures[world])
    .filter((name) => name !== OURS && name !== FOUR)
    .map((name) => ({ name, values: of(name) }))
    .sort((a, b) => mean(b.values) - mean(a.values))
  const best = peers[0]
  return { world, known, ours: estimate(ours), best, four: of(FOUR), verdict: best && verdict(ours, best.values) }
}

const SHORT = {
  'logistic regression': 'logit', 'LightGBM depth 2': 'LGB 2', LightGBM: 'LGB', 'extra trees': 'extra', 'random forest': 'forest',
  'LightGBM depth 2 of 200': 'LGB 2 of 200', "River's adaptive forest": 'River',
}
function cell({ ours, best, four, verdict }) {
  const theirs = best ? ` / ${percent(mean(best.values))} ${SHORT[best.name] ?? best.name}${four ? ` / ${percent(mean(four))}` : ''}` : ''
  const figures = within(ours) + theirs
  return verdict === 'behind' ? `${figures} **behind**` : verdict === 'ahead' ? `${figures} ahead` : figures
}

function worldsTable(figures, checkpoints, measure) {
  const worlds = Object.keys(figures).filter((world) => !isNothing(world))
  const all = worlds.map((world) => checkpoints.map((known) => compared(figures, world, known, measure)))
  const count = (at, what) => all.filter((row) => row[at].verdict === what).length
  return [
    ['world', ...checkpoints.map((known) => `after ${known}`)],
    ...worlds.map((world, i) => [world, ...all[i].map(cell)]),
    // Three seeds are needed for that.
    ...(all[0][0].verdict ? [['ahead, even, behind', ...checkpoints.map((_, at) => ['ahead', 'even', 'behind'].map((what) => count(at, what)).join(', '))]] : []),
  ]
}

/** A contender's shares on the mean over worlds, one a seed. Seeds of one number have nothing in common but for twins. */
function overWorlds(figures, worlds, known, measure, contender) {
  const of = worlds.map((world) => shares(figures, world, known, measure, contender))
  return of[0].map((_, seed) => mean(of.map((seeds) => seeds[seed])))
}

/** Those who played in all of these worlds. */
const playedAll = (figures, worlds) => Object.keys(figures[worlds[0]]).filter((name) => worlds.every((world) => figures[world][name]))

/** Our lead over each of the others, on the mean over the worlds. */
function leads(figures, worlds, checkpoints, measure) {
  const values = (contender, known) => overWorlds(figures, worlds, known, measure, contender)
  const others = playedAll(figures, worlds).filter((name) => name !== OURS)
  return others.flatMap((contender) => checkpoints.map((known) => ({ contender, known, verdict: verdict(values(OURS, known), values(contender, known)) })))
}

/** Means over the worlds in which something can be known, of each contender that played in all of them. */
function meansTable(figures, checkpoints, measure) {
  const worlds = Object.keys(figures).filter((world) => !isNothing(world))
  const found = leads(figures, worlds, checkpoints, measure)
  const cell = (contender, known) => {
    const lead = found.find((of) => of.contender === contender && of.known === known)?.verdict
    return within(estimate(overWorlds(figures, worlds, known, measure, contender)), 1) + (lead ? ` (${OURS} ${lead})` : '')
  }
  return [
    ['mean over the worlds', ...checkpoints.map((known) => `after ${known}`)],
    ...playedAll(figures, worlds).map((contender) => [contender, ...checkpoints.map((known) => cell(contender, known))]),
  ]
}

/** Where nothing can be known but the levels: log loss above that of the truth. */
function nothingTable(figures, checkpoints) {
  const worlds = Object.keys(figures).filter(isNothing)
  if (worlds.length === 0) return undefined
  const contenders = [...new Set(worlds.flatMap((world) => Object.keys(figures[world])))]
  const cell = (world, known, contender) => {
    const { mean, error } = estimate(figures[world][contender].map((at) => at[known].excess))
    return mean.toFixed(4) + (error === undefined ? '' : ` ± ${error.toFixed(4)}`)
  }
  return [
    ['log loss above the truth', ...worlds.flatMap((world) => checkpoints.map((known) => `${world} after ${known}`))],
    ...contenders.map((name) => [name, ...worlds.flatMap((world) => checkpoints.map((known) => cell(world, known, name)))]),
  ]
}

/** What is to be reached: nowhere behind the best single peer, on the mean ahead of everyone, and silent where nothing can be known. */
function goalsTable(figures, checkpoints) {
  const worlds = Object.keys(figures).filter((world) => !isNothing(world))
  const rows = []
  for (const measure of worlds.length > 0 ? ['gain', 'information'] : []) {
    const cells = worlds.flatMap((world) => checkpoints.map((known) => compared(figures, world, known, measure)))
    if (cells[0].verdict) {
      const behind = cells.filter(({ verdict }) => verdict === 'behind')
      const where = behind.map(({ world, known }) => `${world} ${known}`).join(', ')
      rows.push([`${measure}: cells behind the best single peer`, `${behind.length} of ${cells.length}${where && `: ${where}`}`, '0', behind.length === 0])
      const not = leads(figures, worlds, checkpoints, measure).filter(({ verdict }) => verdict !== 'ahead')
      rows.push([
        `${measure}, mean over the worlds: peers that are not beaten`,
        not.map(({ contender, known, verdict }) => `${contender} after ${known} (${verdict})`).join(', ') || 'none', 'none', not.length === 0,
      ])
    }
  }
  const late = checkpoints.filter((known) => known >= 300)
  for (const world of Object.keys(figures).filter(isNothing)) {
    const highest = Math.max(...late.map((known) => mean(figures[world][OURS].map((at) => at[known].excess))))
    rows.push([`${world}: log loss above the truth, after 300 or more`, highest.toFixed(4), '≤ 0.003', highest <= 0.003])
  }
  return [['', OURS, 'target', 'reached'], ...rows.map(([what, found, target, reached]) => [what, found, target, reached ? 'yes' : '**no**'])]
}

/**
 * The tables, each with a title. `figures[world][contender]` has, for each seed, the measures of each checkpoint. Ours, the best
 * single peer and the mean of four stand beside each other; "ahead" and "behind" are beyond the 95 % interval of the difference.
 */
export function tables(figures, checkpoints) {
  const something = Object.keys(figures).some((world) => !isNothing(world))
  const found = (something ? Object.entries(MEASURES) : []).flatMap(([measure, title]) => [
    { title, lines: meansTable(figures, checkpoints, measure) },
    { title: `${title}, world by world`, lines: worldsTable(figures, checkpoints, measure) },
  ])
  return [{ title: 'Goals', lines: goalsTable(figures, checkpoints) }, ...found, { title: 'Where nothing can be known', lines: nothingTable(figures, checkpoints) }].filter(({ lines }) => lines)
}

export const toText = (about, found) => [about, ...found.flatMap(({ title, lines }) => ['', title, '', text(lines)])].join('\n')

export function toFile(about, found) {
  intoPage('learning.md', 'bench:learning', [about, ...found.flatMap(({ title, lines }) => ['', `### ${title}`, '', markdown(lines)])].join('\n'))
}
