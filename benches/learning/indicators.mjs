// What a backend might know of a signal at entry. Behind each number lies a standard normal one, which the rules see; what is
// shown rises with it, so nothing is lost.
import { among, between, normal, some } from './random.mjs'

const clip = (x, low, high) => Math.min(high, Math.max(low, x))

/** The normal distribution function, to 1.5e-7 (Abramowitz & Stegun 7.1.26). */
export function cumulative(x) {
  const t = 1 / (1 + (0.3275911 * Math.abs(x)) / Math.SQRT2)
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
  const tail = (series * Math.exp((-x * x) / 2)) / 2
  return x > 0 ? 1 - tail : tail
}

/** As they are commonly called, each on its usual scale. The textbook's rules ask for the first four. */
const TEXTBOOK = {
  rsi: (z) => clip(50 + 15 * z, 0, 100),
  macd: (z) => 3 * z,
  volumeRatio: (z) => Math.exp(0.5 * z),
  adx: (z) => 10 + 40 * cumulative(z),
  atrPercent: (z) => 1.5 * Math.exp(0.4 * z),
  bbWidth: (z) => 3 * Math.exp(0.5 * z),
  emaDistance: (z) => 1.2 * z,
  stochastic: (z) => 100 * cumulative(z),
  obvSlope: (z) => z,
  fundingRate: (z) => 0.01 * z,
  spread: (z) => Math.exp(z),
  percentB: (z) => 0.5 + 0.35 * z,
  cci: (z) => 110 * z,
  mfi: (z) => 100 * cumulative(0.8 * z),
  momentum: (z) => 2 * z,
  williamsR: (z) => -100 * cumulative(-z),
}
/** Those that tell much of the same as `rsi`. */
const KIN = new Set(['emaDistance', 'stochastic', 'percentB', 'cci', 'mfi', 'williamsR'])
const PERIODS = ['', 7, 21, 50, 100, 200, 300, 500, 30, 9, 5, 3, 2]

/** Scales that nobody knows from a book. */
const SCALES = [
  (a, b) => (z) => a + b * z,
  (a, b) => (z) => a * Math.exp(0.3 * b * z),
  (_a, b) => (z) => b * cumulative(z),
  (a) => (z) => 2 * cumulative(z) - 1 + a,
]
const WORDS = [['bull', 'bear', 'range'], ['asia', 'europe', 'america'], ['low', 'normal', 'high', 'extreme'], [true, false]]
const TITLES = ['regime', 'session', 'volatility', 'aboveVwap']

/**
 * `count` numeric indicators and `categories` of texts and booleans, named as `names` says: `textbook`, `anonymous` (`x0`, …), or
 * `misleading` (the textbook's names, on other quantities). What is shown is the same whatever the names, unless they mislead.
 */
export function indicatorsOf(next, { count, categories, names, textbook }) {
  const known = PERIODS.flatMap((period) => Object.keys(TEXTBOOK).map((name) => [`${name}${period}`, TEXTBOOK[name], KIN.has(name)]))
  const strange = () => among(next, SCALES)(between(next, 0.5, 5), between(next, 0.5, 20))
  const order = some(next, count, count)
  const numeric = Array.from({ length: count }, (_, i) => {
    const [title, usual, kin] = known[i]
    const name = { textbook: title, anonymous: `x${i}`, misleading: known[order[i]][0] }[names]
    const other = strange()
    // One in four goes along with the one before.
    const parent = textbook ? (kin ? 0 : undefined) : i > 0 && next() < 0.25 ? i - 1 : undefined
    return { name, show: textbook ? usual : other, parent }
  })
  const spoken = Array.from({ length: categories }, (_, i) => {
    const kind = i % WORDS.length
    return { name: names === 'anonymous' ? `x${count + i}` : `${TITLES[kind]}${i >= WORDS.length ? i : ''}`, values: WORDS[kind] }
  })
  return { numeric, spoken }
}

/** The part of the numbers behind that all coins share: it comes and goes within `hours`. */
export function tide(next, count, hours) {
  const level = Array.from({ length: count }, () => normal(next))
  return (elapsedHours) => {
    const keep = Math.exp(-elapsedHours / hours)
    for (let i = 0; i < count; i++) level[i] = keep * level[i] + Math.sqrt(1 - keep * keep) * normal(next)
    return level
  }
}

/** What is known of one signal: `z`, with `undefined` for what is missing; `words`; and `shown`, as the backend sees it. */
export function observe(next, { numeric, spoken }, { missing, shared, level }) {
  const z = []
  numeric.forEach(({ parent }, i) => {
    const own = Math.sqrt(shared) * (level?.[i] ?? normal(next)) + Math.sqrt(1 - shared) * normal(next)
    z.push(parent === undefined ? own : 0.7 * z[parent] + Math.sqrt(1 - 0.49) * own)
  })
  const words = spoken.map(({ values }) => among(next, values))
  const gone = [...z, ...words].map(() => next() < missing)
  const shown = {}
  for (const [i, { name, show }] of numeric.entries()) if (!gone[i]) shown[name] = Number(show(z[i]).toPrecision(6))
  for (const [i, { name }] of spoken.entries()) if (!gone[z.length + i]) shown[name] = words[i]
  return {
    z: z.map((value, i) => (gone[i] ? undefined : value)),
    words: words.map((word, i) => (gone[z.length + i] ? undefined : word)),
    shown,
  }
}
