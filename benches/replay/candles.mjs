// The candles of a replay: real ones of a folder, or simulated ones; as a folder of files, which every contender reads.
import { generator } from '../learning/random.mjs'
import { SIX, SYMBOLS } from '../shared/data.mjs'
import { candlesOf, store } from '../signals/candles.mjs'
import { HOUR } from './rules.mjs'

export { SIX }
export const TEN = [...SYMBOLS, 'LINKUSDT']
/** Steps of a simulated candle. */
const STEPS = 12

/**
 * Candles of a price that trends while much is traded, and turns back to where it was while little is; each for one to four days. A
 * price that only walks would teach nothing, so that no model would go into service and the loop would give no signals.
 */
function walk(seed, from, until) {
  const random = generator(seed, 1)
  const rows = []
  let [price, anchor, drift, trends, left] = [100, 100, 0, false, 0]
  for (let openMs = from; openMs < until; openMs += HOUR) {
    if (left-- <= 0) {
      trends = random() < 0.5
      drift = (random() < 0.5 ? 1 : -1) * 0.0022
      anchor = price
      left = 24 + Math.floor(random() * 72)
    }
    const open = price
    let [high, low] = [open, open]
    for (let step = 0; step < STEPS; step++) {
      const pull = trends ? drift / STEPS : -0.008 * (price / anchor - 1)
      price *= 1 + pull + 0.002 * (random() + random() - 1)
      high = Math.max(high, price)
      low = Math.min(low, price)
    }
    rows.push([openMs, open, high, low, price, (trends ? 1600 : 800) * (0.7 + 0.6 * random())])
  }
  return rows
}

/**
 * Stores the candles of these symbols from `from` to before `until` in the folder `data` of `home`. Real ones are taken if the folder
 * `data` has some of every symbol from the first hour to the last one; otherwise they are simulated. Says which.
 */
export function prepare(home, { data, symbols, from, until }) {
  const stored = data === undefined ? new Map() : candlesOf(data)
  const real = new Map(symbols.map((symbol) => [symbol, (stored.get(symbol) ?? []).filter(([openMs]) => openMs >= from && openMs < until)]))
  const complete = [...real.values()].every((candles) => candles[0]?.[0] === from && candles.at(-1)[0] === until - HOUR)
  for (const [seed, symbol] of symbols.entries()) store(home, symbol, complete ? real.get(symbol) : walk(seed + 1, from, until))
  return complete ? 'real candles' : 'simulated candles'
}
