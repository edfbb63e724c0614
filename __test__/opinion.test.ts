// How the old backend's own rule uses the prediction of a model.
import type { PredictionResult, SignalType } from '..'
import { candles, storeCandles, type Row } from './helpers/candles'
import { startExchange, type Exchange } from './helpers/exchange'
import { newLoop } from './helpers/home'

interface Idea {
  signalType: SignalType
  confidence: number
}

/** Without an opinion the backend's own idea stands; one that disagrees counts above 70, and else there is no signal. */
function combined(own: Idea, ml: PredictionResult): Idea {
  if (!ml.success || !(ml.confidence > 0)) return own
  const weighed = 0.6 * ml.confidence + 0.4 * own.confidence
  if (ml.signalType === own.signalType) return { signalType: own.signalType, confidence: Math.min(95, 1.1 * weighed) }
  return ml.confidence > 70 ? { signalType: ml.signalType, confidence: weighed } : { signalType: 'HOLD', confidence: 50 }
}

/** By the 14-hour change: against it, where it is large. */
function ownIdea(rows: readonly Row[]): Idea {
  const change = rows.at(-1)![4] / rows.at(-15)![4] - 1
  if (Math.abs(change) < 0.01) return { signalType: 'HOLD', confidence: 50 }
  return { signalType: change < 0 ? 'BUY' : 'SELL', confidence: Math.min(90, 50 + 1000 * Math.abs(change)) }
}

const windows = (rows: readonly Row[], every: number) =>
  Array.from({ length: Math.floor((rows.length - 200) / every) }, (_, i) => rows.slice(i * every, i * every + 200))

const SYMBOLS = ['BTCUSDT', 'ETHUSDT', 'SOLUSDT', 'XRPUSDT', 'ADAUSDT', 'BNBUSDT']

let exchange: Exchange
beforeAll(async () => {
  // A strong rule in several markets, so that it shows whenever they are looked at: their last hour is the one that it is now.
  exchange = await startExchange({ seed: 5, symbols: SYMBOLS, days: 120, rule: 1 })
})
afterAll(() => exchange.stop())

/** The last weeks of a market of the exchange, in windows that end an hour after each other. */
async function windowsOf(symbol: string) {
  const answer = await fetch(`${exchange.url}/api/v3/klines?symbol=${symbol}&interval=1h&limit=1000`)
  const klines = (await answer.json()) as [number, ...string[]][]
  const rows = klines.slice(0, -1).map(([time, ...numbers]) => [time, ...numbers.slice(0, 5).map(Number)] as Row)
  return windows(rows, 1).map((window) => [symbol, window] as const)
}

test('a model without skill takes no signal away, and changes none', async () => {
  const loop = newLoop()
  const rows = candles(600)
  storeCandles(loop.home, rows)
  const trained = await loop.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })
  expect(trained.results[0]!.model).toMatchObject({ hasSkill: false })
  const given: Idea[] = []
  for (const window of windows(rows, 7)) {
    const [own, ml] = [ownIdea(window), await loop.predictor().predict(window)]
    expect(combined(own, ml)).toEqual(own)
    if (own.signalType !== 'HOLD') given.push(own)
  }
  expect(given.length).toBeGreaterThan(10)
})

test('a model with skill has opinions on the scale of the rule: it agrees, overrules and restrains', async () => {
  const loop = newLoop({ exchangeUrl: exchange.url })
  loop.configure({ historyDays: 120, trees: 30 })
  const trained = await loop.train({ symbols: SYMBOLS, timeframes: ['1h'] })
  expect(trained.results.map(({ model }) => model?.hasSkill)).toContain(true)
  const counts = { agrees: 0, overrules: 0, restrains: 0, none: 0 }
  for (const [symbol, window] of (await Promise.all(SYMBOLS.map(windowsOf))).flat()) {
    const [own, ml] = [ownIdea(window), await loop.predictor(symbol, '1h').predict(window)]
    const { BUY, SELL, HOLD } = ml.mlPrediction.probabilities
    if (!ml.success) {
      expect(ml).toMatchObject({ signalType: 'HOLD', confidence: 0, error: expect.any(String) })
      counts.none += 1
      continue
    }
    // How sure of this against what speaks most for something else.
    const [said, against] = { BUY: [BUY, SELL], SELL: [SELL, BUY], HOLD: [HOLD, Math.max(BUY, SELL)] }[ml.signalType] as [number, number]
    expect(ml.confidence).toBeCloseTo((100 * said) / (said + against), 9)
    expect(ml.mlPrediction).toMatchObject({ signal: ml.signalType, confidence: ml.confidence })
    expect(BUY + SELL + HOLD).toBeCloseTo(100, 9)
    if (ml.signalType === 'HOLD') {
      expect(['NO_EDGE', 'CONSERVATIVE_MODE']).toContain(ml.reason)
      expect(ml.successProbability).toBeUndefined()
    } else {
      expect(ml.reason).toBeUndefined()
      expect(ml.successProbability).toBeCloseTo(said / 100, 12)
    }
    const signal = combined(own, ml)
    if (ml.signalType === own.signalType) counts.agrees += 1
    else if (ml.confidence > 70) counts.overrules += 1
    else counts.restrains += 1
    expect(signal.confidence).toBeGreaterThan(0)
    expect(signal.confidence).toBeLessThanOrEqual(100)
  }
  expect(counts.agrees).toBeGreaterThan(0)
  expect(counts.overrules).toBeGreaterThan(0)
  expect(counts.restrains).toBeGreaterThan(0)
})
