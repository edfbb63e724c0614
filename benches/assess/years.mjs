// Four years of five textbook strategies on six markets, played as in a backend: each signal is assessed, recorded, and closed
// by candles.
import { candlesOf } from '../signals/candles.mjs'
import { play } from '../signals/play.mjs'
import { strategiesOf } from '../signals/strategies.mjs'
import { SYMBOLS } from '../shared/data.mjs'
import { HOUR } from './closed.mjs'

const FROM = Date.UTC(2021, 0, 1)
const DAY = 24 * HOUR
const MARKETS = 6
/** Steps of a candle. */
const STEPS = 12

/** Candles of a price without drift that moves by so much an hour; the same for the same seed. */
function walk(seed, count) {
  let state = seed
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  let price = 100
  return Array.from({ length: count }, (_, i) => {
    const open = price
    let [high, low] = [open, open]
    for (let step = 0; step < STEPS; step++) {
      price *= Math.exp(0.01 * (random() - 0.5))
      high = Math.max(high, price)
      low = Math.min(low, price)
    }
    return [FROM + i * HOUR, open, high, low, price, 100 + 900 * random()]
  })
}

/** How many signals came to an end, and how many seconds their calls took. `data`: a folder of real candles; else they are simulated. */
export async function years(home, data, days) {
  const until = FROM + days * DAY
  const simulated = () => new Map(SYMBOLS.slice(0, MARKETS).map((symbol, seed) => [symbol, walk(seed + 1, days * 24)]))
  const markets = data === undefined ? simulated() : new Map([...candlesOf(data)].slice(0, MARKETS))
  const { rows, seconds } = await play({ home, markets, from: FROM, until, refitDays: days, strategies: strategiesOf('textbook'), candles: false })
  return { signals: rows.length, seconds: seconds.signals }
}
