/**
 * Candles from ccxt: models can be trained on any of its exchanges. signalloop requests missing candles page by page, within ccxt's
 * rate limit.
 *
 *     npx tsx ccxt/candles.ts
 */
import ccxt, { type Exchange } from 'ccxt'
import { SignalLoop, type CandleInput, type CandleRequest } from 'signalloop'

const exchange: Exchange = new ccxt.binance({ options: { fetchMarkets: { types: ['spot'] }, fetchCurrencies: false } })
if (process.env.SIGNALLOOP_EXCHANGE_URL) {
  // Another host with the same API.
  exchange.urls.api = { ...(exchange.urls.api as object), public: `${process.env.SIGNALLOOP_EXCHANGE_URL}/api/v3` } as never
}

async function fetchCandles({ symbol, timeframe, since, until, limit }: CandleRequest): Promise<CandleInput[]> {
  await exchange.loadMarkets()
  // ccxt finds `BTC/USDT` by the exchange's own name.
  const pair = exchange.safeSymbol(symbol)
  const rows = await exchange.fetchOHLCV(pair, timeframe, since, Math.min(limit, 1000))
  const candles = rows.map((row) => row.map(Number) as [number, number, number, number, number, number])
  return candles.filter(([time]) => time < until)
}

async function main(): Promise<void> {
  const loop = new SignalLoop({ fetchCandles })
  loop.configure({ symbols: ['BTC/USDT'], timeframes: ['1h'], historyDays: 60, trees: 20 })
  const { results } = await loop.train()
  for (const { symbol, timeframe, model, error } of results) {
    if (error) throw new Error(`${symbol} ${timeframe}: ${error.message} [${error.code}]`)
    console.log(`${symbol} ${timeframe}: ${model?.candles} candles from ${exchange.name}, trained on ${model?.rows} rows`)
  }
  const { signal, rationale } = await loop.predict({ symbol: 'BTC/USDT' })
  console.log(`${signal}: ${rationale}`)
  await loop.close()
}

void main()
