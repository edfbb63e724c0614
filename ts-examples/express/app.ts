import express, { type ErrorRequestHandler, type Express } from 'express'
import { feedbackTracker } from './services/feedbackTracker'
import { MLPredictor } from './services/mlPredictor'
import { generateSignal } from './services/signalGenerator'

/** The routes of the backend; the caller starts listening. */
export function createApp(): Express {
  const app = express()
  app.use(express.json())

  app.post('/api/signals/generate', async (req, res) => {
    res.status(201).json(await generateSignal(req.body.pair, req.body.timeframe ?? '1h'))
  })
  app.post('/api/signals/:id/outcome', async (req, res) => {
    const known = await feedbackTracker.updateOutcome({ ...req.body, signalId: req.params.id })
    res.status(known ? 200 : 404).json({ updated: known })
  })
  app.get('/api/feedback/stats', async (req, res) => {
    const { symbol, timeframe, days } = req.query as { symbol?: string; timeframe?: string; days?: string }
    res.json(await feedbackTracker.getStats(symbol, timeframe, days === undefined ? undefined : Number(days)))
  })
  app.get('/api/ml/:symbol/:timeframe', (req, res) => {
    const { symbol, timeframe } = req.params
    res.json({ available: new MLPredictor(symbol, timeframe).isModelAvailable() })
  })

  app.use(explain)
  return app
}

/** Invalid input is 400, a conflicting id 409, an unavailable exchange 502, and anything else 500. */
const STATUS: Record<string, number> = {
  ERR_INVALID_SIGNAL: 400,
  ERR_INVALID_ARGUMENT: 400,
  ERR_SIGNAL_CONFLICT: 409,
  ERR_EXCHANGE: 502,
}

const explain: ErrorRequestHandler = ({ code, message }: { code?: string; message: string }, _req, res, _next) => {
  res.status(STATUS[code ?? ''] ?? 500).json({ code, message })
}
