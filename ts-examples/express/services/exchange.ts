/** The backend's own client of its exchange, for candles and prices: Binance's public API, or another host with the same API. */
const BASE_URL = () => process.env.SIGNALLOOP_EXCHANGE_URL || 'https://api.binance.com'

export interface Candle {
  time: number
  open: number
  high: number
  low: number
  close: number
  volume: number
}

async function ask(path: string): Promise<unknown> {
  const answer = await fetch(BASE_URL() + path, { signal: AbortSignal.timeout(10_000) })
  if (!answer.ok) throw new Error(`the exchange answered ${answer.status} to ${path}: ${await answer.text()}`)
  return answer.json()
}

/** The symbol in the exchange's spelling: `BTC/USDT` becomes `BTCUSDT`. */
const symbolOf = (pair: string) => pair.replace('/', '').toUpperCase()

/** The last `count` closed candles, oldest first. */
export async function closedCandles(pair: string, timeframe: string, count: number): Promise<Candle[]> {
  const query = new URLSearchParams({ symbol: symbolOf(pair), interval: timeframe, limit: String(count + 1) })
  const rows = (await ask(`/api/v3/klines?${query}`)) as [number, ...string[]][]
  // The last candle is still open.
  return rows.slice(0, -1).map(([time, ...numbers]) => {
    const [open = NaN, high = NaN, low = NaN, close = NaN, volume = NaN] = numbers.map(Number)
    return { time, open, high, low, close, volume }
  })
}

/** The price now. */
export async function price(pair: string): Promise<number> {
  const { price } = (await ask(`/api/v3/ticker/price?symbol=${symbolOf(pair)}`)) as { price: string }
  return Number(price)
}
