// The candles of a replay: real ones of a folder, or a walk without drift; as a folder of files, which every contender reads.
import { generator } from '../learning/random.mjs'
import { SIX, SYMBOLS } from '../shared/data.mjs'
import { candlesOf, store } from '../signals/candles.mjs'
import { HOUR } from './rules.mjs'

export { SIX }
export const TEN = [...SYMBOLS, 'LINKUSDT']
/** Steps of a simulated candle. */
const STEPS = 12

function walk(seed, from, until) {
  const random = generator(seed, 1)
  const rows = []
  let price = 100
  for (let openMs = from; openMs < until; openMs += HOUR) {
    const open = price
    let [high, low] = [open, open]
    for (let step = 0; step < STEPS; step++) {
      price *= Math.exp(0.01 * (random() - 0.5))
      high = Math.max(high, price)
      low = Math.min(low, price)
    }
    rows.push([openMs, open, high, low, price, 100 + 900 * random()])
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
  return complete ? 'real candles' : 'a simulated walk'
}
