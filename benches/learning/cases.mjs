// The markets that are played, and what is measured of the answers.
import { FLIP_DAY, SIGNALS_A_DAY, market } from './market.mjs'
import { betterHalf, calibrationError, excessLogLoss, mean, reliability, share } from './measures.mjs'

const FRESH = 1000
/** Closed signals at the end of the last day before the flip. */
export const BEFORE_FLIP = FLIP_DAY * SIGNALS_A_DAY
export const AFTER_FLIP = BEFORE_FLIP + 150
export const CHECKPOINTS = { steady: [70, 150, 300, 900], flip: [BEFORE_FLIP, AFTER_FLIP], none: [300, 900] }

/**
 * One case for each variant and seed: the signals, fresh ones to ask about at the checkpoints (numbers of closed signals), and
 * what is true of those by the rules of the day before. Weeks are followed in the market that flips, unless `quick`.
 */
export function casesOf(seeds, quick) {
  return seeds.flatMap((seed) =>
    Object.entries(CHECKPOINTS).map(([variant, checkpoints]) => {
      const { signals, fresh } = market(seed, variant)
      const asked = checkpoints.map((known) => [known, fresh(known / SIGNALS_A_DAY - 1, FRESH)])
      const daily = variant === 'flip' && !quick
      return { variant, seed, signals, checkpoints, daily, fresh: asked[0][1], truth: Object.fromEntries(asked) }
    }),
  )
}

const probabilities = (signals) => signals.map(({ probability }) => probability)
const successes = (signals) => signals.map(({ success }) => Number(success))

function atCheckpoint(stated, truth, variant) {
  const known = probabilities(truth)
  const measures = {
    excess: excessLogLoss(stated, known),
    calibration: calibrationError(stated, known),
    reliability: reliability(stated, known),
  }
  if (variant !== 'none') return { ...measures, share: share(stated, known) }
  // Nothing to gain, so what was taken can differ from the rest by chance alone; what was claimed of it need not.
  const base = mean(known)
  return {
    ...measures,
    taken: betterHalf(stated, successes(truth)) - mean(successes(truth)),
    claimed: betterHalf(stated, stated) - base,
  }
}

/**
 * Success of all signals of each week, of the better half of each day by what was stated, and of the oracle's half. Not of the
 * week's: what is stated on a Monday and on a Friday is not of the same model, and even a bare base rate ranks days.
 */
function byWeek(stated, signals) {
  const truth = probabilities(signals)
  const days = Array.from({ length: signals.length / SIGNALS_A_DAY }, (_, day) => {
    const [q, p] = [stated, truth].map((values) => values.slice(day * SIGNALS_A_DAY, (day + 1) * SIGNALS_A_DAY))
    return { all: mean(p), taken: betterHalf(q, p), oracle: betterHalf(p, p) }
  })
  return Array.from({ length: days.length / 7 }, (_, week) => {
    const average = (what) => mean(days.slice(week * 7, (week + 1) * 7).map((day) => day[what]))
    const [all, taken, oracle] = ['all', 'taken', 'oracle'].map(average)
    return { all, taken, oracle, share: (taken - all) / (oracle - all) }
  })
}

/** The figures of one contender in one case. */
export function measured({ variant, signals, truth, daily }, stated) {
  return {
    at: Object.fromEntries(Object.entries(stated.fresh).map(([known, q]) => [known, atCheckpoint(q, truth[known], variant)])),
    weeks: daily ? byWeek(stated.daily, signals) : [],
    patterns: stated.patterns?.length,
    seconds: stated.seconds,
  }
}
