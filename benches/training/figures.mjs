// Log losses of contenders that did the same task.

export const LEARNERS = {
  lightgbm: 'LightGBM',
  forest: 'scikit-learn\'s forest',
  histogram_boosting: 'HistGradientBoosting',
}

const sides = ({ markets }) => Object.values(markets).flat()

/** The mean over all markets and sides of a contender's log loss, or of the constant's. */
export function meanLoss(contender, key = 'logLoss') {
  const values = sides(contender).map((side) => side[key])
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Throws unless both contenders had the same rows, labels, weights and folds: then their constants have the same log loss. */
export function sameTask(a, b) {
  for (const [market, ofMarket] of Object.entries(a.markets)) {
    for (const [side, { constant, rows }] of ofMarket.entries()) {
      const other = b.markets[market]?.[side]
      if (other?.rows !== rows || Math.abs(other.constant - constant) > 1e-9) {
        throw new Error(`${market}: not the same task: ${rows} rows, constant ${constant}; ${other?.rows} rows, constant ${other?.constant}`)
      }
    }
  }
}
