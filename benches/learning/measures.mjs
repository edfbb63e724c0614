// What is measured of a contender's probabilities, against the true ones.

export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length

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

/** Share of the possible gain: how far the better half lies above all signals, by how far the oracle's half does. */
export function share(scores, truth) {
  const all = mean(truth)
  return (betterHalf(scores, truth) - all) / (betterHalf(truth, truth) - all)
}

/** Expected log loss above the oracle's, in nats: the mean Kullback-Leibler divergence of the stated from the true. */
export function excessLogLoss(stated, truth) {
  const clipped = stated.map((q) => Math.min(1 - 1e-6, Math.max(1e-6, q)))
  return mean(truth.map((p, i) => p * Math.log(p / clipped[i]) + (1 - p) * Math.log((1 - p) / (1 - clipped[i]))))
}

/** Expected calibration error, ten bins of equal count in the order of what was stated, against the true probabilities. */
export function calibrationError(stated, truth) {
  const order = stated.map((_, i) => i).sort((a, b) => stated[a] - stated[b])
  const size = Math.ceil(order.length / 10)
  const bins = Array.from({ length: 10 }, (_, bin) => order.slice(bin * size, (bin + 1) * size))
  return bins.reduce((sum, bin) => sum + Math.abs(bin.reduce((sum, i) => sum + stated[i] - truth[i], 0)), 0) / order.length
}

/** Of each tenth of the range of probabilities: how far the stated ones lie above the true ones in sum, and how many there are. */
export function reliability(stated, truth) {
  const bins = Array.from({ length: 10 }, () => ({ excess: 0, count: 0 }))
  stated.forEach((q, i) => {
    const bin = bins[Math.min(9, Math.floor(10 * q))]
    bin.excess += q - truth[i]
    bin.count += 1
  })
  return bins
}

/** Expected calibration error of a learner in many markets: what is left when the luck of each market's outcomes averages out. */
export function pooledCalibrationError(reliabilities) {
  const sum = (what) => (bin) => reliabilities.reduce((sum, bins) => sum + bins[bin][what], 0)
  const bins = [...reliabilities[0].keys()]
  const count = bins.map(sum('count')).reduce((a, b) => a + b)
  return bins.map(sum('excess')).reduce((total, excess) => total + Math.abs(excess), 0) / count
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

/** Mean over the seeds and half the width of its 95 % interval, for three seeds or more. */
export function overSeeds(values) {
  const middle = mean(values)
  if (values.length < 3) return { mean: middle }
  const variance = values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1)
  return { mean: middle, margin: student(values.length - 1) * Math.sqrt(variance / values.length) }
}
