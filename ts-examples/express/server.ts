/**
 * An Express backend whose two services are signalloop's: it generates signals, closes them from a stream of prices, and
 * serves statistics.
 *
 *     npm run express
 *     curl -X POST localhost:3000/api/signals/generate -H 'content-type: application/json' -d '{"pair":"BTC/USDT"}'
 *     curl localhost:3000/api/feedback/stats
 */
import type { AddressInfo } from 'node:net'
import { close } from 'signalloop'
import { createApp } from './app'
import { PriceStream } from './services/priceStream'

const PAIRS = ['BTC/USDT', 'ETH/USDT']

const stream = new PriceStream(PAIRS, Number(process.env.PRICE_INTERVAL_MS ?? 5000))
stream.on('closed', ({ id, outcome, profitLossPercent }) => console.log(`${id}: ${outcome}, ${profitLossPercent.toFixed(2)} %`))
stream.on('problem', (error) => console.error(`no price: ${error.message}`))
stream.start()

const server = createApp().listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

// Acknowledged records are safe even without this; it waits for running calls.
process.once('SIGTERM', async () => {
  await stream.stop()
  server.close(() => void close())
})
