'use strict'

// How a replay asks a strategy of the user: native code calls one function for each step of time, with the candles that
// have closed since the last one.

// Tests that replace the timers of the global object do not stop these.
const { clearTimeout, setTimeout } = require('node:timers')

const { reasonOf } = require('./reason.js')

/** Marks the result of a strategy that failed. */
const FAILED = Symbol('failed')

/** Numbers of a candle in the packed form: open time, open, high, low, close, volume. */
const FIELDS = ['time', 'open', 'high', 'low', 'close', 'volume']
const FIRST_ROOM = 1024

/** The candles of a market that have closed. Later ones are not in memory here at all. */
class PastMarket {
  #room = 0
  #columns = FIELDS.map(() => new Float64Array(0))

  constructor(market) {
    this.market = Object.freeze(market)
    this.length = 0
  }

  /** Appends `count` candles, which begin at `from` in `packed`. */
  append(packed, from, count) {
    if (this.length + count > this.#room) this.#grow(this.length + count)
    for (let candle = 0, at = from; candle < count; candle++) {
      for (const column of this.#columns) column[this.length + candle] = packed[at++]
    }
    this.length += count
  }

  #grow(needed) {
    this.#room = Math.max(2 * this.#room, needed, FIRST_ROOM)
    this.#columns = this.#columns.map((column) => {
      const grown = new Float64Array(this.#room)
      grown.set(column)
      return grown
    })
  }

  /** What a strategy sees: views that end with the last closed candle. */
  view() {
    const [time, open, high, low, close, volume] = this.#columns.map((column) => column.subarray(0, this.length))
    return new Candles(this.market, { time, open, high, low, close, volume })
  }
}

/** The closed candles of a market, as a strategy gets them. */
class Candles {
  #market

  constructor(market, columns) {
    this.#market = market
    Object.assign(this, columns)
  }

  get length() {
    return this.time.length
  }

  /** The candle at `index`; from the end if it is negative. Throws for a candle that has not closed. */
  at(index) {
    const place = index < 0 ? this.length + index : index
    const { symbol, timeframe } = this.#market
    const last = new Date(this.time[this.length - 1]).toISOString()
    if (!Number.isInteger(place) || place < 0) throw new RangeError(`there is no candle ${index} of ${symbol} ${timeframe}`)
    if (place >= this.length) {
      throw new RangeError(
        `candle ${index} of ${symbol} ${timeframe} has not closed: ${this.length} have, and the last one, ${this.length - 1}, opened at ${last}`,
      )
    }
    return Object.fromEntries(FIELDS.map((field) => [field, this[field][place]]))
  }
}

/**
 * Wraps a strategy as native code calls it. It never throws; a fault of the strategy is part of the answer.
 *
 * `packed` has for each market whose candle has just closed its number, the number of its new candles, and these candles.
 * Markets are numbered in the order in which they appear; `markets` is the JSON text of those that are new. Longer than `limitMs` for one
 * of them is a fault. `answer` takes the JSON text of what the strategy wants, or nothing.
 */
const asked = (strategy) => {
  const pasts = []
  return (packed, markets, limitMs, answer) => {
    if (markets) pasts.push(...JSON.parse(markets).map((market) => new PastMarket(market)))
    const bars = []
    for (let at = 0; at < packed.length; ) {
      const [past, count] = [pasts[packed[at]], packed[at + 1]]
      past.append(packed, at + 2, count)
      at += 2 + FIELDS.length * count
      bars.push(past)
    }
    const results = bars.map((past) => {
      const begin = performance.now()
      try {
        const result = strategy(past.market, past.view())
        return performance.now() - begin > limitMs ? tooLate(limitMs) : result
      } catch (error) {
        return failed(error)
      }
    })
    if (!results.some((result) => typeof result?.then === 'function')) return answer(told(results))
    Promise.all(results.map((result) => inTime(result, limitMs))).then((results) => answer(told(results)))
  }
}

const failed = (error) => ({ [FAILED]: reasonOf(error) })
const tooLate = (limitMs) => ({ [FAILED]: `took longer than ${limitMs / 1000} s` })

/** The value of a promise or of what is none, or the fault that it came too late. */
const inTime = (result, limitMs) =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve(tooLate(limitMs)), limitMs)
    const end = (value) => {
      clearTimeout(timer)
      resolve(value)
    }
    Promise.resolve(result).then(end, (error) => end(failed(error)))
  })

/** What the strategy wants at each bar, as JSON text; `undefined` if it wants nothing. */
const told = (results) => {
  const wanted = results.flatMap((result, bar) => (result === undefined || result === null ? [] : [wantedAt(bar, result)]))
  return wanted.length > 0 ? `[${wanted.join(',')}]` : undefined
}

const wantedAt = (bar, result) => {
  if (result[FAILED] !== undefined) return JSON.stringify({ bar, problem: result[FAILED] })
  try {
    return JSON.stringify({ bar, signals: Array.isArray(result) ? result : [result] })
  } catch (error) {
    return JSON.stringify({ bar, problem: `its signals cannot be read: ${reasonOf(error)}` })
  }
}

module.exports = { asked }
