/** A strategy to replay: two moving averages that cross, with a stop by the average true range. */
import type { Strategy, StrategyCandles } from 'signalloop'

const HOUR = 3_600_000
/** So many candles the averages begin with. */
const WARM_UP = 120

/** The exponential moving average of values, at their end. */
function ema(values: Float64Array, length: number): number {
  const weight = 2 / (length + 1)
  return values.reduce((average, value) => average + weight * (value - average))
}

/** By how much the fast average is above the slow one. */
const lead = (closes: Float64Array): number => ema(closes, 12) - ema(closes, 26)

/** The mean true range of the last 14 candles. */
function averageRange({ high, low, close, length }: StrategyCandles): number {
  let sum = 0
  for (let i = length - 14; i < length; i++) {
    sum += Math.max(high[i]!, close[i - 1]!) - Math.min(low[i]!, close[i - 1]!)
  }
  return sum / 14
}

/** Called at the close of each candle, with the candles that have closed by then. */
export const emaCross: Strategy = (_market, candles) => {
  if (candles.length < WARM_UP) return
  // A view of the last candles; nothing is copied.
  const closes = candles.close.subarray(-WARM_UP)
  const [before, now] = [lead(closes.subarray(0, -1)), lead(closes)]
  if (before * now > 0) return

  const { close, time } = candles.at(-1)
  const range = averageRange(candles)
  const side = now > 0 ? 1 : -1
  return {
    signalType: now > 0 ? 'BUY' : 'SELL',
    entryPrice: close,
    stopLoss: close - side * 2 * range,
    takeProfit: close + side * 3 * range,
    expiresAt: time + 49 * HOUR,
    strategy: 'ema cross',
    // What the strategy knows: signalloop learns which of it matters.
    indicators: {
      rangePercent: (100 * range) / close,
      volumeRatio: candles.volume.at(-1)! / ema(candles.volume.subarray(-WARM_UP), 48),
    },
  }
}
