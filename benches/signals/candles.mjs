// Real candles of one hour, from folders, and a home's candle files.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const HOUR = 3_600_000
const NAME = /^(\w+)_1h\.csv$/
const HEAD = 'timestamp,open,high,low,close,volume\n'

function read(path) {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n').slice(1)
  return lines.map((line) => {
    const [time, ...numbers] = line.split(',')
    const candle = [Date.parse(`${time.replace(' ', 'T')}Z`), ...numbers.map(Number)]
    if (candle.length < 6 || candle.some(Number.isNaN)) throw new Error(`${path}: cannot read the line ${line}`)
    return candle
  })
}

/**
 * Candles `[openMs, open, high, low, close, volume]` by symbol, in order of time. What lies in `folder` and in its `history` and
 * `market` is put together; of two of one time, the first found stays.
 */
export function candlesOf(folder) {
  const markets = new Map()
  for (const place of [folder, join(folder, 'history'), join(folder, 'market')].filter(existsSync)) {
    for (const name of readdirSync(place).filter((name) => NAME.test(name)).sort()) {
      const symbol = NAME.exec(name)[1].toUpperCase()
      const known = markets.get(symbol) ?? new Map()
      for (const candle of read(join(place, name))) if (!known.has(candle[0])) known.set(candle[0], candle)
      markets.set(symbol, known)
    }
  }
  if (markets.size === 0) throw new Error(`${folder} has no file like btcusdt_1h.csv, nor have its folders history and market`)
  return new Map([...markets].map(([symbol, known]) => [symbol, [...known.values()].sort((a, b) => a[0] - b[0])]))
}

const time = (ms) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ')

/** Makes these the stored candles of a symbol, as a fetch would have left them. */
export function store(home, symbol, candles) {
  mkdirSync(join(home, 'data'), { recursive: true })
  const lines = candles.map(([ms, ...numbers]) => `${time(ms)},${numbers.join(',')}\n`)
  writeFileSync(join(home, 'data', `${symbol.toLowerCase()}_1h.csv`), HEAD + lines.join(''))
}
