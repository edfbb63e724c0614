/** A market that is made up: it trends while much is traded, and turns back while little is. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const HOUR = 3_600_000
/** Prices within an hour, of which its highest and its lowest are told. */
const STEPS = 12

/** Random numbers from 0 to 1 that are the same each time (mulberry32, public domain). */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Writes hourly candles into the folder of a home, as a fetch would. */
export function writeCandles(home: string, symbol: string, hours: number, seed: number): void {
  const random = randomNumbers(seed)
  const begin = Date.UTC(2024, 0, 1)
  const rows: string[] = []
  let [price, anchor, drift, trends, left] = [100, 100, 0, false, 0]
  for (let hour = 0; hour < hours; hour++) {
    if (left-- <= 0) {
      trends = random() < 0.5
      drift = (random() < 0.5 ? 1 : -1) * 0.0022
      anchor = price
      left = 24 + Math.floor(random() * 72)
    }
    const open = price
    const prices = [open]
    for (let step = 0; step < STEPS; step++) {
      // Without a trend, the price turns back to where it was when the last one ended.
      const pull = trends ? drift / STEPS : -0.008 * (price / anchor - 1)
      price *= 1 + pull + 0.002 * (random() + random() - 1)
      prices.push(price)
    }
    const volume = (trends ? 1600 : 800) * (0.7 + 0.6 * random())
    const time = new Date(begin + hour * HOUR).toISOString().slice(0, 19).replace('T', ' ')
    rows.push([time, open, Math.max(...prices), Math.min(...prices), price, volume].join(','))
  }
  mkdirSync(join(home, 'data'), { recursive: true })
  writeFileSync(join(home, 'data', `${symbol.toLowerCase()}_1h.csv`), ['timestamp,open,high,low,close,volume', ...rows, ''].join('\n'))
}
