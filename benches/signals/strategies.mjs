// Strategies that give signals at a candle's close: 1 for a BUY, -1 for a SELL, 0 for none. `s` are the series of a symbol, `i` the
// candle, `p` the one before.

const crosses = (values, levels, i, p) => {
  if (values[p] < levels[p] && values[i] >= levels[i]) return 1
  return values[p] > levels[p] && values[i] <= levels[i] ? -1 : 0
}
const zero = new Proxy([], { get: () => 0 })

/** As every book has them. */
const TEXTBOOK = {
  rsi: ({ rsi }, i, p) => (rsi[p] < 30 && rsi[i] >= 30 ? 1 : rsi[p] > 70 && rsi[i] <= 70 ? -1 : 0),
  macd: ({ histogram }, i, p) => crosses(histogram, zero, i, p),
  ema: ({ fast, slow }, i, p) => crosses(fast, slow, i, p),
  donchian: ({ close, highBefore, lowBefore }, i, p) =>
    close[i] > highBefore[i] && close[p] <= highBefore[p] ? 1 : close[i] < lowBefore[i] && close[p] >= lowBefore[p] ? -1 : 0,
  bollinger: ({ percentB }, i, p) => (percentB[p] < 0 && percentB[i] >= 0 ? 1 : percentB[p] > 1 && percentB[i] <= 1 ? -1 : 0),
}

/** Bollinger's band lies within Keltner's: the market is quiet. */
const squeezed = ({ deviation, atr }, i) => 2 * deviation[i] < 1.5 * atr[i]

const FURTHER = {
  /** The narrowest candle of seven, and the next one closes outside of it. */
  nr7: ({ high, low, close, narrowest }, i, p) => {
    if (high[p] - low[p] > narrowest[p]) return 0
    return close[i] > high[p] ? 1 : close[i] < low[p] ? -1 : 0
  },
  /** A body that swallows the one before, against the way of the last day. */
  engulfing: ({ open, close, atr }, i, p) => {
    const body = close[i] - open[i]
    const [before, day] = [close[p] - open[p], close[p] - close[p - 24]]
    const swallows = Math.abs(body) > Math.abs(before) && Math.abs(body) > 0.7 * atr[i] && body * before < 0
    return swallows && body * day < 0 ? Math.sign(body) : 0
  },
  stochastic: ({ stochastic, stochasticMean }, i, p) => {
    const way = crosses(stochastic, stochasticMean, i, p)
    return (way > 0 && stochastic[p] < 20) || (way < 0 && stochastic[p] > 80) ? way : 0
  },
  /** The first candle after a quiet time of six or more. */
  squeeze: (s, i, p) => {
    if (squeezed(s, i)) return 0
    for (let k = 0; k < 6; k++) if (!squeezed(s, p - k)) return 0
    return Math.sign(s.close[i] - s.middle[i])
  },
  /** Along the trend of 200 candles, back over the average of 26 after a dip below it. */
  pullback: ({ close, slow, trend, atr }, i, p) => {
    const way = crosses(close, slow, i, p)
    return way !== 0 && way * (slow[i] - trend[i]) > 1.5 * atr[i] ? way : 0
  },
}

export const STRATEGIES = { ...TEXTBOOK, ...FURTHER }
/** Names by what `--strategies` says: `textbook`, `all`, or a list. */
export function strategiesOf(text) {
  const names = text === 'all' ? Object.keys(STRATEGIES) : text === 'textbook' ? Object.keys(TEXTBOOK) : text.split(',')
  const unknown = names.filter((name) => !Object.hasOwn(STRATEGIES, name))
  if (unknown.length > 0) throw new Error(`--strategies must be all, textbook or some of ${Object.keys(STRATEGIES).join(', ')}; got ${unknown.join(', ')}`)
  return names
}
