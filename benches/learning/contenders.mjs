// Those who learn in this process, and what a market asks of each: state what it thinks of the day's signals, then learn
// what became of them. `peers.py` plays by the same rules.
import { SIGNALS_A_DAY, generator } from './market.mjs'
import { signalloop } from './signalloop.mjs'

/** Knows the share of successes so far, and nothing else. Every signal is as good as any other. */
function baseRate() {
  let [count, successes] = [0, 0]
  return {
    learn(signals) {
      count += signals.length
      successes += signals.filter(({ success }) => success).length
    },
    probabilities: (signals) => signals.map(() => (successes + 1) / (count + 2)),
  }
}

/** One weight for all signals of a symbol and direction, by their success: what the old system did. */
function classWide() {
  const known = new Map()
  const of = ({ symbol, direction }) => {
    const name = `${symbol} ${direction}`
    if (!known.has(name)) known.set(name, { count: 0, successes: 0 })
    return known.get(name)
  }
  return {
    learn(signals) {
      for (const signal of signals) {
        of(signal).count++
        of(signal).successes += Number(signal.success)
      }
    },
    probabilities: (signals) => signals.map((signal) => (of(signal).successes + 1) / (of(signal).count + 2)),
  }
}

/** Says anything: where a measure gives this one a gain, the measure is wrong. */
function random({ seed }) {
  const next = generator(seed, 3)
  return { learn() {}, probabilities: (signals) => signals.map(() => next()) }
}

export const CONTENDERS = {
  signalloop,
  'no learning': baseRate,
  'class-wide weights': classWide,
  random,
}

/**
 * Lets a contender live through a market. `daily`: its probabilities of all signals, each stated on the morning of its day,
 * as a backend asks, whether or not the case looks at them; `fresh`: of the fresh signals, at each checkpoint; `seconds`: of
 * all processors.
 */
export async function play(name, { seed, signals, fresh, checkpoints }) {
  const begin = process.cpuUsage()
  const contender = await CONTENDERS[name]({ seed })
  const stated = { daily: [], fresh: {} }
  for (let start = 0; start < signals.length; start += SIGNALS_A_DAY) {
    const today = signals.slice(start, start + SIGNALS_A_DAY)
    stated.daily.push(...(await contender.probabilities(today)))
    await contender.learn(today)
    const known = start + SIGNALS_A_DAY
    if (checkpoints.includes(known)) stated.fresh[known] = await contender.probabilities(fresh)
  }
  const patterns = await contender.patterns?.()
  await contender.close?.()
  const { user, system } = process.cpuUsage(begin)
  return { ...stated, patterns, seconds: (user + system) / 1e6 }
}
