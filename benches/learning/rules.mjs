// Hidden rules: what they add to the logit of success. A rule that asks for a missing indicator adds nothing, so the best
// possible can be learned from what the backend sees.
import { among, between, normal, some } from './random.mjs'

const sign = (next) => (next() < 0.5 ? -1 : 1)
/** Each takes a generator and gives a function of one number behind an indicator. */
const SHAPES = {
  thresholds: (next) => {
    const [edge, way, band] = [between(next, -0.8, 0.8), sign(next), next() < 0.3]
    return (v) => (band ? Number(Math.abs(v - edge) < 0.7) : Number(way * v > edge))
  },
  smooth: (next) => {
    const [at, way] = [between(next, -0.7, 0.7), sign(next)]
    return among(next, [(v) => way * v, (v) => way * Math.tanh(2 * (v - at)), (v) => (way * v * v) / 1.4, (v) => way * Math.sin(2 * v + at)])
  },
}
const PAIRS = [
  (edges) => (a, b) => Math.sign(a) * Math.sign(b) * edges[2],
  (edges) => (a, b) => a * b * edges[2],
  (edges) => (a, b) => 2 * edges[2] * Number(a > edges[0] && b > edges[1]),
]

/** Reads number `i` behind the indicators, as it is or turned into the direction of the trade. */
const reading = (i, mirrored) => ({ z, direction }) => (z[i] === undefined ? undefined : mirrored ? z[i] * direction : z[i])

function single(next, kind, i) {
  const [read, shape] = [reading(i, next() < 0.6), SHAPES[kind](next)]
  const weight = between(next, 0.6, 1.4)
  return (signal) => (read(signal) === undefined ? 0 : weight * shape(read(signal)))
}

function pair(next, i, j) {
  const reads = [i, j].map((number) => reading(number, next() < 0.6))
  const act = among(next, PAIRS)([between(next, -0.4, 0.4), between(next, -0.4, 0.4), sign(next)])
  return (signal) => {
    const [a, b] = reads.map((read) => read(signal))
    return a === undefined || b === undefined ? 0 : act(a, b)
  }
}

function textbook(next, symbols) {
  const [overbought, volume, trend] = [between(next, 0.7, 1.2), between(next, 0.1, 0.6), between(next, 0, 0.6)]
  const [late, against, confirmed] = [between(next, 1.5, 2.8), between(next, 1.2, 2.4), between(next, 1.5, 2.8)]
  const contrary = among(next, symbols)
  return ({ z: [rsi, macd, ratio, adx], direction, symbol }) => {
    const turned = symbol === contrary ? -1 : 1
    return (
      (rsi * direction > overbought ? -late : 0) +
      (macd * direction < 0 ? -turned * against : 0) +
      (ratio > volume ? confirmed : 0) +
      (adx > trend && macd * direction > 0 ? 0.8 : 0)
    )
  }
}

/** An effect for each of `names`, of what `of` reads. */
function effects(next, names, of) {
  const by = new Map(names.map((name) => [name, normal(next)]))
  return (signal) => by.get(of(signal)) ?? 0
}

function terms(next, spec, indicators) {
  const chosen = some(next, Math.min(spec.matter, spec.count), spec.count)
  const { symbols, strategies } = spec
  switch (spec.rules) {
    case 'none':
      return []
    case 'textbook':
      return [textbook(next, symbols)]
    case 'thresholds':
    case 'smooth':
      return chosen.map((i) => single(next, spec.rules, i))
    case 'shapes':
      return [...chosen.map((i) => single(next, among(next, ['thresholds', 'smooth']), i)), pair(next, chosen[0], chosen[1])]
    case 'interactions':
      return chosen.slice(1).map((i, at) => pair(next, chosen[at], i))
    case 'effects':
      return [effects(next, strategies, ({ strategy }) => strategy), effects(next, symbols, ({ symbol }) => symbol)]
    case 'words':
      return [
        ...indicators.spoken.slice(0, 2).map(({ values }, i) => effects(next, values, ({ words }) => words[i])),
        ...chosen.slice(0, 2).map((i) => single(next, 'smooth', i)),
      ]
    case 'mixed':
      return [
        ...chosen.map((i) => single(next, among(next, ['thresholds', 'smooth']), i)),
        pair(next, chosen[0], chosen[1]),
        effects(next, strategies, ({ strategy }) => strategy),
        // A rule that holds for one strategy and turns round for the others.
        ((read, one) => (signal) => (signal.strategy === one ? 1 : -0.5) * Math.tanh(read(signal) ?? 0))(reading(chosen[0], true), among(next, strategies)),
      ]
    default:
      throw new Error(`no rules are called ${spec.rules}`)
  }
}

/**
 * The rules of a world, drawn by `next`: a function of a signal, with the mean 0 and the standard deviation `spec.strength` over
 * the `sample` of signals.
 */
export function rulesOf(next, spec, indicators, sample) {
  const parts = terms(next, spec, indicators)
  if (parts.length === 0) return () => 0
  const sum = (signal) => parts.reduce((total, part) => total + part(signal), 0)
  const values = sample.map(sum)
  const mean = values.reduce((total, value) => total + value, 0) / values.length
  const deviation = Math.sqrt(values.reduce((total, value) => total + (value - mean) ** 2, 0) / values.length)
  return (signal) => (spec.strength * (sum(signal) - mean)) / deviation
}
