import { randomUUID } from 'node:crypto'
import type { PredictionResult, SignalType } from 'signalloop'
import { closedCandles, type Candle } from './exchange'
import { feedbackTracker } from './feedbackTracker'
import { MLPredictor } from './mlPredictor'

/** This backend's type of a signal. */
export interface TradingSignal {
  id: string
  pair: string
  timeframe: string
  signalType: SignalType
  confidence: number
  entryPrice: number
  stopLoss?: number
  takeProfit?: number
  timestamp: Date
  indicators: { rsi: number; change: number }
  aiRationale: string
}

interface Idea {
  signalType: SignalType
  /** Percent, 0–100. */
  confidence: number
}

const CANDLES = 200

/**
 * Generates a signal from this backend's own rule and from the model's prediction, if it has an opinion. The signal is recorded without waiting:
 * a full disk must not withhold a signal from the user.
 */
export async function generateSignal(pair: string, timeframe: string): Promise<TradingSignal> {
  const candles = await closedCandles(pair, timeframe, CANDLES)
  const prediction = await new MLPredictor(pair, timeframe).predict(candles)
  const indicators = { rsi: rsi(candles), change: change(candles) }
  const { signalType, confidence } = combined(byRule(indicators.rsi), prediction)
  const entryPrice = candles.at(-1)!.close
  const up = signalType === 'BUY' ? 1 : -1
  const signal: TradingSignal = {
    id: randomUUID(),
    pair,
    timeframe,
    signalType,
    confidence,
    entryPrice,
    ...(signalType !== 'HOLD' && { stopLoss: entryPrice * (1 - 0.02 * up), takeProfit: entryPrice * (1 + 0.04 * up) }),
    timestamp: new Date(),
    indicators,
    aiRationale: `RSI ${indicators.rsi.toFixed(0)}; ${prediction.aiRationale}`,
  }
  feedbackTracker.recordSignal(signal).catch((error: Error) => console.error(`signal ${signal.id} was not recorded: ${error.message}`))
  return signal
}

/** Bets against the last moves; the confidence grows with their size. */
export const byRule = (rsi: number): Idea => ({ signalType: rsi < 50 ? 'BUY' : 'SELL', confidence: Math.min(90, 50 + Math.abs(rsi - 50)) })

/**
 * If the model has no opinion, the rule decides. If the model agrees, the confidence rises. If it disagrees, it replaces the rule when its
 * confidence is above 70; otherwise there is no signal.
 */
export function combined(rule: Idea, ml: PredictionResult): Idea {
  if (!ml.success || ml.confidence === 0) return rule
  const weighed = 0.6 * ml.confidence + 0.4 * rule.confidence
  if (ml.signalType === rule.signalType) return { signalType: rule.signalType, confidence: Math.min(95, 1.1 * weighed) }
  return ml.confidence > 70 ? { signalType: ml.signalType, confidence: weighed } : { signalType: 'HOLD', confidence: 50 }
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
