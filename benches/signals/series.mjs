// Textbook indicators over whole series of candles. Each value knows its candle and those before it.

export function ema(values, period) {
  const share = 2 / (period + 1)
  let level = values[0]
  return values.map((value) => (level += share * (value - level)))
}

function wilder(values, period) {
  let level = values[0]
  return values.map((value) => (level += (value - level) / period))
}

/** `of(from, until)` of the last `period` places, of fewer at the beginning. */
const rolling = (count, period, of) => Array.from({ length: count }, (_, i) => of(Math.max(0, i - period + 1), i + 1))

function highest(values, period) {
  return rolling(values.length, period, (from, until) => {
    let best = -Infinity
    for (let i = from; i < until; i++) best = Math.max(best, values[i])
    return best
  })
}
const lowest = (values, period) => highest(values.map((value) => -value), period).map((value) => -value)

function moments(values, period) {
  return rolling(values.length, period, (from, until) => {
    let [sum, squares] = [0, 0]
    for (let i = from; i < until; i++) sum += values[i]
    const mean = sum / (until - from)
    for (let i = from; i < until; i++) squares += (values[i] - mean) ** 2
    return { mean, deviation: Math.sqrt(squares / (until - from)) }
  })
}

/** All that the strategies and the signals' indicators ask for. */
export function seriesOf(candles) {
  const [open, high, low, close, volume] = [1, 2, 3, 4, 5].map((column) => candles.map((candle) => candle[column]))
  const change = close.map((value, i) => (i ? value - close[i - 1] : 0))
  const [gain, loss] = [wilder(change.map((x) => Math.max(0, x)), 14), wilder(change.map((x) => Math.max(0, -x)), 14)]
  const range = close.map((_, i) => (i ? Math.max(high[i], close[i - 1]) - Math.min(low[i], close[i - 1]) : high[i] - low[i]))
  const atr = wilder(range, 14)
  const [fast, slow, trend] = [12, 26, 200].map((period) => ema(close, period))
  const macd = fast.map((value, i) => value - slow[i])
  const signal = ema(macd, 9)
  const [rise, fall] = [high.map((x, i) => (i ? x - high[i - 1] : 0)), low.map((x, i) => (i ? low[i - 1] - x : 0))]
  const plus = wilder(rise.map((x, i) => (x > fall[i] ? Math.max(0, x) : 0)), 14)
  const minus = wilder(fall.map((x, i) => (x > rise[i] ? Math.max(0, x) : 0)), 14)
  const band = moments(close, 20)
  const [top, bottom] = [highest(high, 14), lowest(low, 14)]
  const stochastic = ema(close.map((x, i) => (100 * (x - bottom[i])) / (top[i] - bottom[i] || 1)), 3)
  const volumes = moments(volume, 20)
  return {
    open, high, low, close, volume, range, atr, fast, slow, trend,
    rsi: gain.map((up, i) => 100 - 100 / (1 + up / (loss[i] + 1e-12))),
    histogram: macd.map((value, i) => value - signal[i]),
    adx: wilder(plus.map((x, i) => (100 * Math.abs(x - minus[i])) / (x + minus[i] + 1e-12)), 14),
    percentB: close.map((x, i) => (x - band[i].mean + 2 * band[i].deviation) / (4 * band[i].deviation + 1e-12)),
    middle: band.map(({ mean }) => mean),
    deviation: band.map(({ deviation }) => deviation),
    volumeRatio: volume.map((x, i) => x / (volumes[i].mean + 1e-12)),
    stochastic,
    stochasticMean: ema(stochastic, 5),
    /** Of the twenty candles before this one. */
    highBefore: [high[0], ...highest(high, 20).slice(0, -1)],
    lowBefore: [low[0], ...lowest(low, 20).slice(0, -1)],
    narrowest: lowest(high.map((x, i) => x - low[i]), 7),
  }
}

/** What a backend would send with a signal at candle `i`. */
export function indicatorsAt(s, i, openMs) {
  const [price, atr] = [s.close[i], s.atr[i]]
  const known = {
    rsi: s.rsi[i],
    macdHist: s.histogram[i] / atr,
    adx: s.adx[i],
    percentB: s.percentB[i],
    volumeRatio: s.volumeRatio[i],
    atrPct: (100 * atr) / price,
    emaDist: (price - s.slow[i]) / atr,
    trend: (price - s.trend[i]) / atr,
    stochastic: s.stochastic[i],
    bandWidth: (4 * s.deviation[i]) / atr,
    hour: new Date(openMs).getUTCHours(),
    ret24: 100 * Math.log(price / s.close[i - 24]),
  }
  return Object.fromEntries(Object.entries(known).map(([name, value]) => [name, Number(value.toPrecision(7))]))
}
