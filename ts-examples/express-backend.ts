/**
 * signalloop in an Express backend: signals and prices in, statistics and new signals out.
 *
 *     PORT=3000 npx tsx ts-examples/express-backend.ts
 *     curl -X POST localhost:3000/prices -H 'content-type: application/json' -d '{"pair":"BTC/USDT","price":104}'
 */
import type { AddressInfo } from 'node:net'
import express, { type ErrorRequestHandler } from 'express'
import { close, feedbackTracker, generateSignal } from 'signalloop'

const app = express()
app.use(express.json())

app.post('/signals', async (req, res) => {
  await feedbackTracker.recordSignal(req.body)
  res.status(201).end()
})
app.post('/prices', async (req, res) => {
  res.json(await feedbackTracker.onPrice(req.body.pair, req.body.price))
})
app.get('/stats', async (_req, res) => {
  res.json(await feedbackTracker.getStats())
})
app.get('/signal/:symbol', async (req, res) => {
  res.json(await generateSignal({ symbol: req.params.symbol }))
})

/** The caller's mistakes are 400, an id used twice is 409, what is not there is 404; anything else is ours. */
const STATUS: Record<string, number> = {
  ERR_INVALID_SIGNAL: 400,
  ERR_INVALID_ARGUMENT: 400,
  ERR_SIGNAL_CONFLICT: 409,
  ERR_NO_DATA: 404,
  ERR_NO_MODEL: 404,
}
const explain: ErrorRequestHandler = ({ code, message }: { code?: string; message: string }, _req, res, _next) => {
  res.status(STATUS[code ?? ''] ?? 500).json({ code, message })
}
app.use(explain)

const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

// What was acknowledged is safe without this; it waits for what is under way.
process.once('SIGTERM', () => {
  server.close(() => void close())
})
