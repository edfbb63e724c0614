// The backend with models: one without skill takes none of its signals, one with an opinion is weighed against the rule.
import { candles, storeCandles } from '../../../__test__/helpers/candles'
import { newHome } from '../../__test__/helpers/home'
import { closedCandles } from '../services/exchange'
import { byRule, combined, generateSignal } from '../services/signalGenerator'
import { close, train, type PredictionResult, type SignalType } from 'signalloop'

jest.mock('../services/exchange', () => ({ closedCandles: jest.fn() }))

const rows = candles(600)
/** What the exchange would have answered at 54 times. */
const windows = Array.from({ length: 54 }, (_, i) =>
  rows.slice(7 * i, 7 * i + 200).map(([time, open, high, low, close, volume]) => ({ time, open, high, low, close, volume })),
)

async function signals(): Promise<[SignalType, number][]> {
  const given: [SignalType, number][] = []
  for (const window of windows) {
    jest.mocked(closedCandles).mockResolvedValueOnce(window)
    const { signalType, confidence } = await generateSignal('BTC/USDT', '1h')
    given.push([signalType, confidence])
  }
  return given
}

beforeEach(() => {
  process.env.SIGNALLOOP_HOME = newHome()
})
afterEach(() => close())

test('with a model without skill the backend gives the very signals that it gives without models', async () => {
  const without = await signals()
  expect(without.filter(([signalType]) => signalType !== 'HOLD')).toHaveLength(54)
  storeCandles(process.env.SIGNALLOOP_HOME!, rows)
  const { results } = await train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })
  expect(results[0]!.model!.hasSkill).toBe(false)
  expect(await signals()).toEqual(without)
})

test('an opinion makes surer, goes before the rule, or keeps it from a signal', () => {
  const opinion = (signalType: SignalType, confidence: number): PredictionResult => ({
    success: true,
    signalType,
    confidence,
    mlPrediction: { signal: signalType, confidence, probabilities: { SELL: 30, HOLD: 30, BUY: 40 } },
    aiRationale: '',
  })
  const rule = byRule(30)
  expect(rule).toEqual({ signalType: 'BUY', confidence: 70 })
  expect(combined(rule, opinion('BUY', 60))).toEqual({ signalType: 'BUY', confidence: expect.closeTo(70.4, 9) })
  expect(combined(rule, opinion('SELL', 80))).toEqual({ signalType: 'SELL', confidence: expect.closeTo(76, 9) })
  expect(combined(rule, opinion('SELL', 70))).toEqual({ signalType: 'HOLD', confidence: 50 })
  expect(combined(rule, opinion('HOLD', 55))).toEqual({ signalType: 'HOLD', confidence: 50 })
  expect(combined(rule, { ...opinion('HOLD', 0), success: false })).toBe(rule)
})
