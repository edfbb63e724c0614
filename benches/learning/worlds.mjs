// The worlds of `npm run bench:learning`: each a kind of market, drawn by a seed. Their hidden rules are known here only, so the
// best possible is known, too. The same name and seed give the same world on every machine.
//
//     node benches/learning/worlds.mjs --out FOLDER [--worlds textbook,shapes] [--seeds 1,2] [--signals 1200]
//
// writes each as FOLDER/NAME-SEED.jsonl, a signal a line, in order of time.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { indicatorsOf, observe, tide } from './indicators.mjs'
import { among, between, generator, normal } from './random.mjs'
import { rulesOf } from './rules.mjs'
import { FIRST_SHARE, down, firstTarget, hoursOfStep, live, truths } from './walk.mjs'

const HOUR = 3_600_000
const FIRST = Date.UTC(2022, 0, 3)
/** Costs of a round trip, percent of the price. */
export const FEE_PERCENT = 0.1
const COINS = ['ADA', 'AVAX', 'BNB', 'BTC', 'DOGE', 'DOT', 'ETH', 'LINK', 'SOL', 'XRP'].map((coin) => `${coin}USDT`)
const STRATEGIES = ['breakout', 'reversal', 'trend', 'squeeze', 'pullback', 'news']

/**
 * `rules` and their `strength` (standard deviation of the logit), `count` indicators of which some `matter`, how they are named, how
 * many are texts, how often one is missing; levels as reward to risk; signals that are `open` at once, how many hours a `life` lasts;
 * what may `change` at which signal; two `targets`, with a stop that then moves to the entry (`breakEven`) or follows (`trail`). A `twin` is the same world as another but for what is said here.
 */
const USUAL = {
  rules: 'shapes', strength: 1.5, names: 'anonymous', count: 12, matter: 4, categories: 0, missing: 0.05, strategies: [], symbols: COINS,
  rewardRisk: [1], expiryHours: undefined, trailing: false, targets: undefined, open: 1, life: 16, correlation: 0, change: undefined, onlyTaken: false,
}
const OVERLAP = { open: 12, life: 32 }

export const WORLDS = {
  textbook: { rules: 'textbook', names: 'textbook' },
  'textbook-anonymous': { rules: 'textbook', twin: 'textbook' },
  shapes: {},
  mixed: { rules: 'mixed', names: 'textbook', strategies: STRATEGIES, rewardRisk: [1, 1.5, 2], categories: 1 },
  thresholds: { rules: 'thresholds', count: 20 },
  smooth: { rules: 'smooth', count: 8, rewardRisk: [1.5, 2, 3] },
  interactions: { rules: 'interactions', matter: 3, count: 8 },
  effects: { rules: 'effects', strategies: STRATEGIES, strength: 0.8, count: 6 },
  words: { rules: 'words', categories: 4, count: 6, strategies: STRATEGIES },
  misleading: { names: 'misleading', twin: 'shapes' },
  many: { count: 100, matter: 3 },
  'very-many': { count: 200, matter: 4, strength: 2 },
  few: { count: 3, matter: 3, strength: 1 },
  weak: { strength: 0.5 },
  missing: { missing: 0.3 },
  uneven: { rewardRisk: [0.25, 0.5, 1, 2, 4], strategies: STRATEGIES },
  expiry: { expiryHours: 16, rewardRisk: [1, 2], strength: 1.2 },
  trailing: { trailing: true, rewardRisk: [2, 3], strength: 1.2 },
  targets: { targets: 'breakEven', rewardRisk: [2, 3], strength: 1.2 },
  'targets-trail': { targets: 'trail', rewardRisk: [2, 3], strength: 1.2 },
  overlap: { ...OVERLAP, correlation: 0.5, names: 'textbook', rewardRisk: [2] },
  sudden: { change: { from: 600, until: 600 }, names: 'textbook' },
  slow: { change: { from: 150, until: 900 } },
  'only-taken': { onlyTaken: true, twin: 'shapes' },
  none: { rules: 'none' },
  'none-overlap': { rules: 'none', ...OVERLAP, correlation: 0.7, rewardRisk: [2] },
  'none-crowded': { rules: 'none', open: 40, life: 32, correlation: 0.8, names: 'textbook', rewardRisk: [1] },
  'none-uneven': { rules: 'none', rewardRisk: [0.25, 4], ...OVERLAP, correlation: 0.3 },
  drawn: undefined,
}
/** Those in which nothing can be known but the levels. */
export const isNothing = (name) => name.startsWith('none')

/** A world of which everything is drawn. */
function drawn(next) {
  const overlapping = next() < 0.5
  return {
    rules: among(next, ['textbook', 'thresholds', 'smooth', 'shapes', 'interactions', 'mixed', 'words']),
    strength: between(next, 0.5, 2),
    names: among(next, ['textbook', 'anonymous', 'misleading']),
    count: Math.round(4 * Math.exp(between(next, 0, Math.log(50)))),
    matter: Math.floor(between(next, 2, 6)),
    categories: 2,
    missing: among(next, [0, 0.05, 0.2]),
    strategies: STRATEGIES.slice(0, Math.floor(between(next, 2, 7))),
    rewardRisk: among(next, [[1], [1, 2], [2, 3], [0.25, 1, 4]]),
    ...among(next, [{}, { expiryHours: 16 }, { trailing: true }]),
    ...(overlapping ? { ...OVERLAP, correlation: between(next, 0, 0.8) } : {}),
  }
}

/** A number of 32 bits for a text: FNV-1a. */
const numberOf = (text) => [...text].reduce((hash, letter) => Math.imul(hash ^ letter.codePointAt(0), 0x01000193), 0x811c9dc5 | 0)

/** How much of the change has come at a signal. */
const changed = ({ from, until }, index) => (index < from ? 0 : index >= until ? 1 : (index - from) / (until - from))

/**
 * The world of a name and a seed. `signals` are `count` of them, in order of time, with what became of each. `questions(index, t, many)`
 * are others that the world might have given at the time of signal number `index`, with what is true of them, for judging what was learned.
 */
export function world(name, seed, count = 1200) {
  if (!Object.hasOwn(WORLDS, name)) throw new Error(`no world is called ${name}; there are ${Object.keys(WORLDS).join(', ')}`)
  // Worlds of one seed have nothing in common, but for twins.
  const own = numberOf(`${WORLDS[name]?.twin ?? name} ${seed}`)
  const draw = generator(own, 1)
  const spec = { ...USUAL, ...(WORLDS[name] ?? drawn(draw)) }
  const textbook = spec.rules === 'textbook' || spec.names === 'textbook'
  // Names are drawn from a stream of their own: they change nothing else.
  const indicators = indicatorsOf(generator(own, 2), { ...spec, textbook })
  const hours = hoursOfStep(spec.life)
  const exits = { expirySteps: spec.expiryHours && Math.round(spec.expiryHours / hours), trailing: spec.trailing, targets: spec.targets }
  const truth = truths(exits)
  const buys = between(draw, 0.4, 0.8)
  const shared = spec.correlation > 0 ? 0.5 : 0

  const situation = (next, level) => ({
    symbol: among(next, spec.symbols),
    strategy: spec.strategies.length > 0 ? among(next, spec.strategies) : undefined,
    timeframe: next() < 0.7 ? '1h' : '4h',
    direction: next() < buys ? 1 : -1,
    stopPercent: Number(between(next, 1, 4).toFixed(2)),
    rewardRisk: among(next, spec.rewardRisk),
    ...observe(next, indicators, { missing: spec.missing, shared, level }),
  })
  const sampler = generator(own, 3)
  const sample = Array.from({ length: 4000 }, () => situation(sampler))
  const rules = [4, 5].map((stream) => rulesOf(generator(own, stream), spec, indicators, sample))
  const shift = spec.rules === 'none' ? 0 : 0.2 * normal(draw)

  /** Where the walk begins, and what is true of the signal. */
  function judged(signal, index) {
    const share = spec.change ? changed(spec.change, index) : 0
    const rule = (1 - share) * rules[0](signal) + share * rules[1](signal)
    const logit = shift + rule - Math.log(signal.rewardRisk)
    const low = down(1 / (1 + Math.exp(-logit)), spec.targets ? 2 : 1)
    const { success, r } = truth(low, signal.rewardRisk)
    return { low, pTrue: success, rTrue: r - FEE_PERCENT / signal.stopPercent }
  }
  /** Where the targets are, in R, and what the stop does. It follows from reward to risk, so it tells a learner nothing more. */
  const management = (rewardRisk) =>
    spec.targets && { targetsR: [firstTarget(rewardRisk), rewardRisk], shares: [FIRST_SHARE, 100 - FIRST_SHARE], rest: spec.targets }
  const row = (id, t, { symbol, strategy, timeframe, direction, stopPercent, rewardRisk, shown }, { pTrue, rTrue }) => ({
    id, t, pair: symbol, timeframe, strategy, direction, stopPercent, rewardRisk,
    expiryBars: spec.expiryHours && spec.expiryHours / (timeframe === '4h' ? 4 : 1), indicators: shown, managed: management(rewardRisk), pTrue, rTrue,
  })

  function signals() {
    const [next, luck] = [generator(own, 6), generator(own, 7)]
    const flow = shared > 0 ? tide(next, spec.count, 24) : undefined
    const rows = []
    let before = 0
    const hour = Math.round(1 / hours)
    live(luck, count, {
      ...exits,
      correlation: spec.correlation,
      one: spec.open === 1,
      // To the full hour: signals come with closed candles, several at once.
      wait: () => (spec.open === 1 ? hour : Math.round((-Math.log(1 - next()) * spec.life) / spec.open) * hour),
      arrive(step) {
        const given = situation(next, flow?.((step - before) * hours))
        before = step
        const found = judged(given, rows.length)
        rows.push(row(`${name}-${seed}-${rows.length}`, FIRST + Math.round(step * hours * HOUR), given, found))
        return { row: rows.at(-1), low: found.low, rewardRisk: given.rewardRisk, direction: given.direction, coin: given.symbol }
      },
      close({ row }, step, { outcome, r, reached, best, rest }) {
        const success = Number(outcome === 'TOOK_PROFIT' || outcome === 'SUCCESS')
        Object.assign(row, { closed: FIRST + Math.round(step * hours * HOUR), outcome, success, profitPercent: Number((r * row.stopPercent).toFixed(6)) })
        // When a backend saw the first target, the best price in R, and the price in R at which the rest was closed.
        if (spec.targets) row.course = reached === undefined ? { rest: r } : { reached: FIRST + Math.round(reached * hours * HOUR), best, rest }
      },
    })
    return rows
  }
  return {
    name,
    seed,
    spec,
    signals: signals(),
    questions(index, t, many) {
      const next = generator(own, 8)
      return Array.from({ length: many }, (_, i) => {
        const given = situation(next)
        return row(`${name}-${seed}-asked-${index}-${i}`, t, given, judged(given, index))
      })
    },
  }
}

/** What the command line asks for: some of `--worlds`, or all of them. */
export function namesOf(text) {
  const names = text?.split(',') ?? Object.keys(WORLDS)
  const unknown = names.filter((name) => !Object.hasOwn(WORLDS, name))
  if (unknown.length > 0) throw new Error(`--worlds must be some of ${Object.keys(WORLDS).join(', ')}; got ${unknown.join(', ')}`)
  return names
}

function write() {
  const { values } = parseArgs({
    options: { out: { type: 'string' }, worlds: { type: 'string' }, seeds: { type: 'string', default: '1' }, signals: { type: 'string', default: '1200' } },
  })
  if (!values.out) throw new Error('--out must name a folder')
  mkdirSync(values.out, { recursive: true })
  for (const name of namesOf(values.worlds)) {
    for (const seed of values.seeds.split(',').map(Number)) {
      const { signals } = world(name, seed, Number(values.signals))
      writeFileSync(join(values.out, `${name}-${seed}.jsonl`), signals.map((signal) => `${JSON.stringify(signal)}\n`).join(''))
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) write()
