// Five textbook rules, one candle at a time: a new candle costs the same however many came before it. rules.py has the same rules for
// the peers in Python.

export const HOUR = 3_600_000
export const [STOP_ATR, TARGET_ATR, EXPIRY_HOURS] = [1.5, 3, 48]
/** Candles before the first signal, so that the longest indicator has settled. */
export const WARM_UP = 250

/** An exponential mean that begins with its first value; of a Wilder mean, the share is 1 / period. */
class Mean {
  constructor(share) {
    this.share = share
  }

  add(value) {
    this.value = this.value === undefined ? value : this.value + this.share * (value - this.value)
    return this.value
  }
}
const ema = (period) => new Mean(2 / (period + 1))
const wilder = (period) => new Mean(1 / period)

/** The highest of the last `period` values: those kept fall from the oldest to the newest, and lower ones before a higher one go. */
class Highest {
  #kept = []
  #first = 0
  #count = 0

  constructor(period) {
    this.period = period
  }

  add(value) {
    while (this.#kept.length > this.#first && this.#kept.at(-1)[0] <= value) this.#kept.pop()
    this.#kept.push([value, this.#count++])
    if (this.#kept[this.#first][1] <= this.#count - 1 - this.period) this.#first++
    if (this.#first > this.period) {
      this.#kept.splice(0, this.#first)
      this.#first = 0
    }
  }

  get value() {
    return this.#kept[this.#first]?.[0]
  }
}

/** Mean and standard deviation of the last `period` values (Welford's update, with the oldest value replaced). */
class Band {
  #values = []
  #next = 0
  #squares = 0
  mean = 0

  constructor(period) {
    this.period = period
  }

  add(value) {
    const before = this.mean
    if (this.#values.length < this.period) {
      this.#values.push(value)
      this.mean += (value - before) / this.#values.length
      this.#squares += (value - before) * (value - this.mean)
      return
    }
    const oldest = this.#values[this.#next]
    this.#values[this.#next] = value
    this.#next = (this.#next + 1) % this.period
    this.mean += (value - oldest) / this.period
    this.#squares += (value - oldest) * (value - this.mean + oldest - before)
  }

  get deviation() {
    return Math.sqrt(Math.max(0, this.#squares) / this.#values.length)
  }
}

/** What of `now` crosses 0: 1 upwards, -1 downwards, 0 otherwise. */
const crosses = (before, now) => (before < 0 && now >= 0 ? 1 : before > 0 && now <= 0 ? -1 : 0)

/** The indicators of a market, and what the rules say at each of its candles. */
export class Rules {
  #gain = wilder(14)
  #loss = wilder(14)
  #atr = wilder(14)
  #fast = ema(12)
  #slow = ema(26)
  #signal = ema(9)
  #top = new Highest(20)
  #bottom = new Highest(20)
  #band = new Band(20)
  #before
  count = 0

  /** Takes a candle; returns the rules that give a signal at its close: `[name, 1 for a BUY or -1 for a SELL]`. */
  add(high, low, close) {
    const before = this.#before
    const last = before?.close ?? close
    const gain = this.#gain.add(Math.max(0, close - last))
    const loss = this.#loss.add(Math.max(0, last - close))
    this.atr = this.#atr.add(before ? Math.max(high, last) - Math.min(low, last) : high - low)
    const difference = this.#fast.add(close) - this.#slow.add(close)
    this.#band.add(close)
    const { mean, deviation } = this.#band
    const now = {
      close,
      rsi: 100 - 100 / (1 + gain / (loss + 1e-12)),
      difference,
      histogram: difference - this.#signal.add(difference),
      // Of the twenty candles before this one.
      top: this.#top.value,
      bottom: this.#bottom.value === undefined ? undefined : -this.#bottom.value,
      percentB: (close - mean + 2 * deviation) / (4 * deviation + 1e-12),
    }
    this.#top.add(high)
    this.#bottom.add(-low)
    this.#before = now
    this.now = now
    if (this.count++ < WARM_UP) return []
    // No signal has a stop or a target that is no price.
    return given(before, now).filter(([, side]) => close > (side > 0 ? STOP_ATR : TARGET_ATR) * this.atr)
  }
}

/** The rules that give a signal. */
function given(before, now) {
  const said = [
    ['rsi', before.rsi < 30 && now.rsi >= 30 ? 1 : before.rsi > 70 && now.rsi <= 70 ? -1 : 0],
    ['macd', crosses(before.histogram, now.histogram)],
    ['ema', crosses(before.difference, now.difference)],
    ['donchian', now.close > now.top && before.close <= before.top ? 1 : now.close < now.bottom && before.close >= before.bottom ? -1 : 0],
    ['bollinger', before.percentB < 0 && now.percentB >= 0 ? 1 : before.percentB > 1 && now.percentB <= 1 ? -1 : 0],
  ]
  return said.filter(([, side]) => side !== 0)
}

/** The strategy that `replay` asks: it reads each candle once, from the views. */
export function textbook() {
  const markets = new Map()
  return ({ symbol }, { time, high, low, close, length }) => {
    const rules = markets.get(symbol) ?? new Rules()
    markets.set(symbol, rules)
    let said = []
    while (rules.count < length) {
      const i = rules.count
      said = rules.add(high[i], low[i], close[i])
    }
    if (said.length === 0) return
    const entryPrice = close[length - 1]
    const { atr, now } = rules
    return said.map(([strategy, side]) => ({
      strategy,
      signalType: side > 0 ? 'BUY' : 'SELL',
      entryPrice,
      stopLoss: entryPrice - side * STOP_ATR * atr,
      takeProfit: entryPrice + side * TARGET_ATR * atr,
      expiresAt: time[length - 1] + (1 + EXPIRY_HOURS) * HOUR,
      indicators: {
        rsi: now.rsi,
        macdHistogram: now.histogram / atr,
        emaDifference: now.difference / atr,
        percentB: now.percentB,
        atrPercent: (100 * atr) / entryPrice,
      },
    }))
  }
}
