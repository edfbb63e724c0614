// What is measured: signals of a strategy with and without learning and by peers; the loop's own signals; growth.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { alternate, median } from '../shared/measure.mjs'
import { SIX, TEN, prepare } from './candles.mjs'
import { attempt, replay } from './child.mjs'
import { PEERS } from './peers.mjs'
import { HOUR } from './rules.mjs'

const YEAR = 365 * 24 * HOUR
const WEEKLY = { retrain: { interval: '7d' }, update: { enabled: false } }
const NIGHTLY = { update: { enabled: false } }
const LEARNS_NOT = 'signalloop, without learning'
const ALL = 'signalloop, with outcomes, models trained weekly'

/** Options of `replay` for signals of the strategy. */
export const MODES = {
  [LEARNS_NOT]: { without: ['models', 'outcomes'] },
  'signalloop, with outcomes': { without: ['models'] },
  [ALL]: { scheduler: WEEKLY },
}
export { ALL, LEARNS_NOT }

/** The options of all modes, or of those that train no models. */
export const modes = (withoutTrainings) => Object.fromEntries(Object.entries(MODES).filter(([name]) => !withoutTrainings || name !== ALL))

/** Medians of figures of several rounds; those of a peer that failed are the reason. */
function medians(rounds) {
  const failed = rounds.find(({ missing }) => missing)
  if (failed) return failed
  const of = (name) => median(rounds.map((figures) => figures[name]))
  const cpu = rounds.map(({ cpuSeconds }) => cpuSeconds)
  return { ...rounds[0], cpuSeconds: of('cpuSeconds'), wallSeconds: of('wallSeconds'), peakBytes: of('peakBytes'), spread: [Math.min(...cpu), Math.max(...cpu)] }
}

/** A folder with these candles; says what they are. */
function home(folder, name, wanted) {
  const path = join(folder, name)
  mkdirSync(path)
  return { path, kind: prepare(path, wanted) }
}

/** The strategy's signals of six coins, by signalloop and by peers: the quick ones take turns for some rounds, the others run once. */
export async function contenders({ folder, data, from, until, peers, rounds, modes }) {
  const { path, kind } = home(folder, 'six', { data, symbols: SIX, from, until })
  const candles = join(path, 'data')
  const installed = Object.fromEntries(peers.map((name) => [name, PEERS[name].install()]))
  const turn = (name, act) => async () => {
    console.error(`${name} …`)
    return act()
  }
  const ours = Object.entries(modes).map(([name, options]) => [name, turn(name, () => replay(path, { symbols: SIX, ...options }))])
  const theirs = peers.filter((name) => !installed[name].missing).map((name) => [name, turn(name, () => installed[name].start(candles))])
  const quick = ([name]) => name === LEARNS_NOT || PEERS[name]?.rounds
  const all = [...ours, ...theirs]
  const figures = {
    ...(await alternate(rounds, Object.fromEntries(all.filter(quick)), { warmUp: false })),
    ...(await alternate(1, Object.fromEntries(all.filter((entry) => !quick(entry))), { warmUp: false })),
  }
  const rows = [...Object.keys(modes), ...peers].map((name) => {
    const handles = PEERS[name]?.handles ?? 'overlapping, with expiry; stored'
    return { name, handles, ...(installed[name]?.missing ? { missing: installed[name].missing } : medians(figures[name])) }
  })
  const versions = Object.values(installed).map(({ versions }) => versions).filter(Boolean)
  return { kind, versions, rows }
}

/** The loop's own signals of ten markets, in the last year. Where none was given, `missing` says so. */
export function ten({ folder, data, from, until }) {
  const begin = Math.max(from, until - YEAR)
  const { path, kind } = home(folder, 'ten', { data, symbols: TEN, from: begin, until })
  const schedules = { 'nightly trainings': NIGHTLY, 'nightly trainings, updates every six hours': {} }
  const rows = Object.entries(schedules).map(([name, scheduler]) => {
    console.error(`own signals of ten markets, ${name} …`)
    return { name, ...attempt(path, { own: true, symbols: TEN, scheduler }) }
  })
  return { kind, days: Math.round((until - begin) / (24 * HOUR)), rows }
}

/** CPU seconds with half of the time and of the markets, and the exponents of their growth. */
export function growth({ folder, data, from, until, modes }) {
  const middle = from + Math.round((until - from) / HOUR / 2) * HOUR
  const { path, kind } = home(folder, 'growth', { data, symbols: SIX, from, until })
  const rows = Object.entries(modes).map(([name, options]) => {
    console.error(`growth of ${name} …`)
    const all = replay(path, { symbols: SIX, ...options })
    const half = replay(path, { symbols: SIX, ...options, until: new Date(middle).toISOString() })
    const three = replay(path, { symbols: SIX.slice(0, 3), ...options })
    const exponent = (less, bySize) => Math.log(all.cpuSeconds / less.cpuSeconds) / Math.log(bySize)
    return { name, all, half, three, bySignals: exponent(half, all.signals / half.signals), byMarkets: exponent(three, 2) }
  })
  return { kind, rows }
}
