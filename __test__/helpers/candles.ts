import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** `[openMs, open, high, low, close, volume]` */
export type Row = [number, number, number, number, number, number]

export const HOUR = 3_600_000

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A random walk of closed hourly candles, oldest first, of which the last closed at `end`. */
export function candles(count: number, { seed = 1, end = Math.floor(Date.now() / HOUR) * HOUR } = {}): Row[] {
  const next = random(seed)
  let price = 100
  return Array.from({ length: count }, (_, i): Row => {
    const open = price
    const close = open * (1 + (next() - 0.5) * 0.02)
    const high = Math.max(open, close) * (1 + next() * 0.005)
    const low = Math.min(open, close) * (1 - next() * 0.005)
    price = close
    return [end - (count - i) * HOUR, open, high, low, close, 100 + 900 * next()]
  })
}

/** Writes candles as `data/{symbol}_{timeframe}.csv` of a home. */
export function storeCandles(home: string, rows: readonly Row[], market = 'btcusdt_1h'): void {
  mkdirSync(join(home, 'data'), { recursive: true })
  const line = ([time, ...numbers]: Row) =>
    [new Date(time).toISOString().slice(0, 19).replace('T', ' '), ...numbers].join(',')
  const text = ['timestamp,open,high,low,close,volume', ...rows.map(line), ''].join('\n')
  writeFileSync(join(home, 'data', `${market}.csv`), text)
}
