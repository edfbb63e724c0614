// The Sharpe ratio, and what is left of it after as many trials as were made.
import { mean } from './measures.mjs'

/** The normal distribution function, to 1.5e-7 (Abramowitz & Stegun 7.1.26). */
function normal(x) {
  const t = 1 / (1 + (0.3275911 * Math.abs(x)) / Math.SQRT2)
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
  const tail = (series * Math.exp((-x * x) / 2)) / 2
  return x > 0 ? 1 - tail : tail
}

/** Its inverse, by bisection. */
function quantile(p) {
  let [low, high] = [-8, 8]
  while (high - low > 1e-9) {
    const middle = (low + high) / 2
    if (normal(middle) < p) low = middle
    else high = middle
  }
  return (low + high) / 2
}

const moment = (values, order) => {
  const middle = mean(values)
  return mean(values.map((value) => (value - middle) ** order))
}

/** Mean return by standard deviation, per period; 0 where nothing ever moved. */
export function sharpe(returns) {
  const variance = moment(returns, 2)
  return variance > 0 ? mean(returns) / Math.sqrt(variance) : 0
}

/**
 * Probability that the true Sharpe ratio of `returns` lies above the highest that chance gives among trials without any skill,
 * whose Sharpe ratios (per period) are `trials`. Bailey & López de Prado, 2014, "The deflated Sharpe ratio", equations 1
 * and 2. Missing where nothing was traded.
 */
export function deflatedSharpe(returns, trials) {
  const variance = moment(returns, 2)
  if (!(variance > 0) || trials.length < 2) return undefined
  const ratio = sharpe(returns)
  const gamma = 0.5772156649015329
  const count = trials.length
  const expectedHighest =
    Math.sqrt((moment(trials, 2) * count) / (count - 1)) *
    ((1 - gamma) * quantile(1 - 1 / count) + gamma * quantile(1 - 1 / (count * Math.E)))
  const skewness = moment(returns, 3) / variance ** 1.5
  const kurtosis = moment(returns, 4) / variance ** 2
  const error = Math.sqrt(1 - skewness * ratio + ((kurtosis - 1) / 4) * ratio ** 2)
  return normal(((ratio - expectedHighest) * Math.sqrt(returns.length - 1)) / error)
}
