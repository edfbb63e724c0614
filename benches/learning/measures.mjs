// What is measured of a contender's answers, against what is true.

export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length
const clip = (p) => Math.min(1 - 1e-6, Math.max(1e-6, p))

/** Expected log loss of stating `q` where `p` is true. */
const crossEntropy = (p, q) => -p * Math.log(clip(q)) - (1 - p) * Math.log(1 - clip(q))

/** Mean of `values` over the half with the highest `scores`. Equal scores at the edge count by their mean: no luck of order. */
export function betterHalf(scores, values) {
  const order = scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a])
  const half = Math.floor(scores.length / 2)
  const edge = scores[order[half - 1]]
  const above = order.filter((i) => scores[i] > edge)
  const tied = order.filter((i) => scores[i] === edge)
  const sum = above.reduce((sum, i) => sum + values[i], 0)
  return (sum + (half - above.length) * mean(tied.map((i) => values[i]))) / half
}

/**
 * Of the answers `{ p, r, take }` to `questions`, what was reached, and what the best possible reaches:
 * `gain` R a signal of those taken, above the better of taking none and taking all; `rank` R of the half with the highest
 * expected R, above that of all; `information` how far log loss lies below that of the best constant. `excess`: log loss
 * above that of the truth.
 */
export function measured(answers, questions) {
  const [r, p] = [questions.map(({ rTrue }) => rTrue), questions.map(({ pTrue }) => pTrue)]
  const [all, base] = [mean(r), mean(p)]
  const idle = Math.max(0, all)
  const loss = mean(p.map((p, i) => crossEntropy(p, answers[i].p)))
  const [worst, least] = [mean(p.map((p) => crossEntropy(p, base))), mean(p.map((p) => crossEntropy(p, p)))]
  const expected = answers.map(({ r }) => r)
  return {
    gain: { reached: mean(r.map((r, i) => (answers[i].take ? r : 0))) - idle, possible: mean(r.map((r) => Math.max(0, r))) - idle },
    rank: { reached: betterHalf(expected, r) - all, possible: betterHalf(r, r) - all },
    information: { reached: worst - loss, possible: worst - least },
    excess: loss - least,
  }
}

/** The 97.5 % quantile of Student's t (Abramowitz & Stegun 26.7.5); for two degrees of freedom 3 % too low, else nearer. */
function student(freedom) {
  const z = 1.959964
  return (
    z +
    (z ** 3 + z) / (4 * freedom) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2) +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * freedom ** 3)
  )
}

/** A mean, its standard error and half its 95 % interval; for fewer than three values the mean alone. */
export function estimate(values) {
  const middle = mean(values)
  if (values.length < 3) return { mean: middle }
  const variance = values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1)
  const error = Math.sqrt(variance / values.length)
  return { mean: middle, error, margin: student(values.length - 1) * error }
}
