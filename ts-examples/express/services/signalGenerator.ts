import { randomUUID } from 'node:crypto'
import type { SignalType, Timeframe } from 'signalloop'
import { closedCandles, type Candle } from './exchange'
import { feedbackTracker } from './feedbackTracker'
import { MLPredictor } from './mlPredictor'

/** A signal as this backend has always had it. */
export interface TradingSignal {
  id: string
  pair: string
  timeframe: Timeframe
  signalType: SignalType
  confidence: number
  entryPrice: number
  stopLoss?: number
  takeProfit?: number
  timestamp: Date
  indicators: { rsi: number; change: number }
  aiRationale: string
}

const CANDLES = 200

/**
 * A signal of the model, or of the RSI where the model has none or nothing to say. It is recorded, but nobody waits for
 * that: a full disk must not keep a signal from the user.
 */
export async function generateSignal(pair: string, timeframe: Timeframe): Promise<TradingSignal> {
  const candles = await closedCandles(pair, timeframe, CANDLES)
  const prediction = await new MLPredictor(pair, timeframe).predict(candles)
  const indicators = { rsi: rsi(candles), change: change(candles) }
  const byRule: SignalType = indicators.rsi < 50 ? 'BUY' : 'SELL'
  const useModel = prediction.success && prediction.signalType !== 'HOLD'
  const signalType = useModel ? prediction.signalType : byRule
  const entryPrice = candles.at(-1)!.close
  const up = signalType === 'BUY' ? 1 : -1
  const signal: TradingSignal = {
    id: randomUUID(),
    pair,
    timeframe,
    signalType,
    confidence: useModel ? prediction.confidence : 50,
    entryPrice,
    stopLoss: entryPrice * (1 - 0.02 * up),
    takeProfit: entryPrice * (1 + 0.04 * up),
    timestamp: new Date(),
    indicators,
    aiRationale: useModel ? prediction.aiRationale : `RSI ${indicators.rsi.toFixed(0)}; ${prediction.error ?? prediction.aiRationale}`,
  }
  feedbackTracker.recordSignal(signal).catch((error: Error) => console.error(`signal ${signal.id} was not recorded: ${error.message}`))
  return signal
}

/** Wilder's relative strength index over 14 bars, by simple means. */
function rsi(candles: readonly Candle[]): number {
  const closes = candles.slice(-15).map((candle) => candle.close)
  let [gain, loss] = [0, 0]
  for (let i = 1; i < closes.length; i++) {
    const step = closes[i]! - closes[i - 1]!
    if (step > 0) gain += step
    else loss -= step
  }
  return gain + loss === 0 ? 50 : (100 * gain) / (gain + loss)
}

/** Percent, over a day of hourly candles. */
function change(candles: readonly Candle[]): number {
  const [then, now] = [candles.at(-24)!.close, candles.at(-1)!.close]
  return (100 * (now - then)) / then
}
