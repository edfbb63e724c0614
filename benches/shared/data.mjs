// Candles to measure on: real ones of a folder that the caller names, else simulated ones.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { SignalLoop } from '../../index.js'

export const SYMBOLS = ['BTCUSDT', 'ETHUSDT', 'BNBUSDT', 'SOLUSDT', 'ADAUSDT', 'XRPUSDT', 'DOGEUSDT', 'DOTUSDT', 'AVAXUSDT']
/** Those of which years are at hand. */
export const SIX = ['BTCUSDT', 'ETHUSDT', 'SOLUSDT', 'ADAUSDT', 'DOGEUSDT', 'AVAXUSDT']
const CLI = fileURLToPath(new URL('../../bin/signalloop.js', import.meta.url))
const MINUTES = { '5m': 5, '1h': 60, '4h': 240 }
/** Exchanges have outages: so much of a file may be missing. */
const COMPLETE = 0.95

/**
 * Puts `days` days of candles of all symbols and timeframes into `home`, with a configuration that names them, and says in
 * words what they are. Real ones are the newest of the shortest file under `data` that is long enough.
 */
export async function candles(home, { data, symbols = SYMBOLS, timeframes, days }) {
  mkdirSync(join(home, 'data'), { recursive: true })
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols, timeframes, history_days: days }))
  if (data === undefined) await simulate(home, symbols, days)
  else for (const symbol of symbols) for (const timeframe of timeframes) copy(data, home, `${symbol.toLowerCase()}_${timeframe}.csv`, timeframe, days)
  return data === undefined ? 'simulated candles' : 'real candles'
}

function copy(data, home, name, timeframe, days) {
  const bars = (days * 1440) / MINUTES[timeframe]
  const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && entry.name === name)
  const long = files
    .map((entry) => readFileSync(join(entry.parentPath, name), 'utf8').trimEnd().split('\n'))
    .filter((lines) => lines.length > bars * COMPLETE)
    .toSorted((a, b) => a.length - b.length)
  if (long.length === 0) throw new Error(`${data} has no ${name} of ${days} days`)
  const [head, ...rows] = long[0]
  writeFileSync(join(home, 'data', name), [head, ...rows.slice(-bars), ''].join('\n'))
}

/** The last `count` candles of a file, as a backend has them. */
export const recent = (file, count) =>
  readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count).map((line) => {
    const [time, ...numbers] = line.split(',')
    const [open, high, low, close, volume] = numbers.map(Number)
    return { time: Date.parse(`${time.replace(' ', 'T')}Z`), open, high, low, close, volume }
  })

async function simulate(home, symbols, days) {
  const simulator = spawn(process.execPath, [CLI, 'simulator', '--days', `${days + 1}`, '--symbols', symbols.join(',')])
  try {
    const [line] = await once(createInterface({ input: simulator.stdout }), 'line')
    const loop = new SignalLoop({ home, exchangeUrl: JSON.parse(line).url })
    const failed = (await loop.fetchData()).filter((result) => !result.success)
    if (failed.length > 0) throw new Error(`cannot fetch: ${failed[0].error.message}`)
    await loop.close()
  } finally {
    simulator.kill()
    await once(simulator, 'exit')
  }
}
