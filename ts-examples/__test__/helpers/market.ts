import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const HOUR = 3_600_000

/** An exchange of Binance's shapes whose prices the test sets. */
export interface Market {
  url: string
  /** By symbol; the last close where there is none. */
  prices: Record<string, number>
  stop(): Promise<void>
}

/** 200 and more hourly candles that wave around 100, and prices. */
export async function startMarket(): Promise<Market> {
  const at = (time: number) => 100 + 3 * Math.sin(time / (7 * HOUR)) + Math.sin(time / (2.3 * HOUR))
  const lastOpen = () => Math.floor(Date.now() / HOUR) * HOUR
  const klines = (limit: number) => {
    const last = lastOpen()
    return Array.from({ length: limit }, (_, i) => {
      const time = last - (limit - 1 - i) * HOUR
      const [open, close] = [at(time), at(time + HOUR)]
      const numbers = [open, Math.max(open, close) + 0.2, Math.min(open, close) - 0.2, close, 1000].map((n) => n.toFixed(8))
      return [time, ...numbers, time + HOUR - 1, '0', 0, '0', '0', '0']
    })
  }
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://localhost')
    const answers: Record<string, () => unknown> = {
      '/api/v3/klines': () => klines(Number(url.searchParams.get('limit'))),
      '/api/v3/ticker/price': () => {
        const symbol = url.searchParams.get('symbol')!
        return { symbol, price: String(market.prices[symbol] ?? at(lastOpen())) }
      },
    }
    const answer = answers[url.pathname]
    response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(answer?.() ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const market: Market = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    prices: {},
    stop: () => new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    }),
  }
  return market
}
