/**
 * Candles from another source than Binance: `fetchCandles` returns the same format as ccxt's `fetchOHLCV`.
 *
 *     npx tsx custom-exchange/main.ts
 *
 * With ccxt: ../ccxt/candles.ts.
 *
 * Pages may have any length: the next request continues where a page ended.
 */
import { SignalLoop, type CandleInput, type CandleRequest } from 'signalloop'

const HOUR = 3_600_000

/** Simulates an exchange: at most 500 candles per request, with an oscillating price. */
async function fetchCandles({ symbol, since, until }: CandleRequest): Promise<CandleInput[]> {
  console.log(`asked for ${symbol} from ${new Date(since).toISOString()}`)
  const candles: CandleInput[] = []
  for (let time = Math.ceil(since / HOUR) * HOUR; time < until && candles.length < 500; time += HOUR) {
    const at = (ms: number) => 100 + 5 * Math.sin(ms / (31 * HOUR)) + Math.sin(ms / (2.7 * HOUR))
    const [open, close] = [at(time), at(time + HOUR)]
    const volume = 1000 + 500 * Math.cos(time / (5 * HOUR))
    candles.push([time, open, Math.max(open, close) + 0.2, Math.min(open, close) - 0.2, close, volume])
  }
  return candles
}

async function main(): Promise<void> {
  const loop = new SignalLoop({ home: process.env.SIGNALLOOP_HOME ?? 'ml/example', fetchCandles })
  loop.configure({ symbols: ['BTC/USD'], timeframes: ['1h'], historyDays: 30, trees: 10 })

  const { results } = await loop.train()
  for (const { symbol, timeframe, model, error } of results) {
    if (model) console.log(`${symbol} ${timeframe}: trained on ${model.rows} rows`)
    else console.log(`${symbol} ${timeframe}: ${error?.message}`)
  }

  const prediction = await loop.predict({ symbol: 'BTC/USD' })
  console.log(`${prediction.signal}: ${prediction.rationale}`)
  await loop.close()
}

void main()
