// Compares predictions for signals with their outcomes.
import { generator } from '../learning/random.mjs'

const WEEK = 7 * 86_400_000
const RESAMPLES = 1000
/** Costs of a round trip, percent of the price. */
const FEE_PERCENT = 0.1
/** The running mean starts with this many outcomes at the probability implied by the levels. */
const BEFORE = 100

export const rOf = ({ profitPercent, stopPercent }) => (profitPercent - FEE_PERCENT) / stopPercent
/** The break-even probability between these levels after costs; peers take signals above it. */
export const breakEven = ({ rewardRisk, stopPercent }) => (1 + FEE_PERCENT / stopPercent) / (1 + rewardRisk)
const logLoss = (success, p) => -Math.log(success ? p : 1 - p)

/** The mean of all outcomes that were known when each signal was given. */
export function runningMean(rows) {
  const ends = rows.map((row) => [row.closed, row.success]).sort((a, b) => a[0] - b[0])
  const order = rows.map((_, i) => i).sort((a, b) => rows[a].t - rows[b].t)
  const means = new Array(rows.length)
  let [known, successes] = [0, 0]
  for (const i of order) {
    for (; known < ends.length && ends[known][0] <= rows[i].t; known++) successes += ends[known][1]
    means[i] = (successes + BEFORE / (1 + rows[i].rewardRisk)) / (known + BEFORE)
  }
  return means
}

/** The area under the ROC curve, ties counted half. */
function auc(rows, stated) {
  const order = rows.map((_, i) => i).sort((a, b) => stated[a] - stated[b])
  let [ranks, positives] = [0, 0]
  for (let begin = 0; begin < order.length; ) {
    let end = begin
    while (end < order.length && stated[order[end]] === stated[order[begin]]) end++
    const successes = order.slice(begin, end).filter((i) => rows[i].success).length
    ranks += (successes * (begin + 1 + end)) / 2
    positives += successes
    begin = end
  }
  return (ranks - (positives * (positives + 1)) / 2) / (positives * (rows.length - positives))
}

/**
 * A mean over signals, and its 95 % interval: weeks are drawn again, because signals of one week depend on each other. `sums` gives
 * what is summed up of each signal; `of` makes the figure of such sums.
 */
function estimate(rows, sums, of) {
  const weeks = new Map()
  rows.forEach((row, i) => {
    const week = Math.floor(row.t / WEEK)
    const before = weeks.get(week)
    const values = sums(row, i)
    weeks.set(week, before ? before.map((value, at) => value + values[at]) : values)
  })
  const parts = [...weeks.values()]
  const total = (chosen) => chosen.reduce((sum, values) => sum.map((value, at) => value + values[at]))
  const figure = { mean: of(total(parts)) }
  if (parts.length < 8) return figure
  const next = generator(parts.length, 1)
  const drawn = Array.from({ length: RESAMPLES }, () => of(total(parts.map(() => parts[Math.floor(next() * parts.length)]))))
    .sort((a, b) => a - b)
  // If some resamples contain no signal to measure, there is too little data for an interval.
  if (drawn.some(Number.isNaN)) return figure
  const at = (share) => drawn[Math.floor(share * (drawn.length - 1))]
  return { ...figure, low: at(0.025), high: at(0.975) }
}

/** The figures of one learner: `answers` are `{ p, take }` of each of `rows`, `means` the running mean. */
export function judge(rows, answers, means) {
  const stated = answers.map(({ p }) => p)
  const ratio = ([sum, count]) => sum / count
  const r = rows.map(rOf)
  const among = (take) => estimate(rows, (_, i) => [answers[i].take === take ? r[i] : 0, Number(answers[i].take === take)], ratio)
  return {
    signals: rows.length,
    excess: estimate(rows, ({ success }, i) => [logLoss(success, stated[i]) - logLoss(success, means[i]), 1], ratio),
    auc: auc(rows, stated),
    taken: answers.filter(({ take }) => take).length,
    take: among(true),
    left: among(false),
    all: estimate(rows, (_, i) => [r[i], 1], ratio),
    gain: estimate(rows, (_, i) => [answers[i].take ? r[i] : 0, Number(answers[i].take), r[i], 1], ([sum, count, all, n]) => sum / count - all / n),
    meanStated: stated.reduce((sum, p) => sum + p, 0) / rows.length,
    meanTrue: rows.filter(({ success }) => success).length / rows.length,
  }
}
