// As a backend's own tests do it: every test loads the backend anew, in several workers of Jest at once.
import { newHome } from '../../__test__/helpers/home'

jest.mock('../services/exchange', () => ({
  closedCandles: async () =>
    Array.from({ length: 200 }, (_, i) => ({ time: i * 3_600_000, open: 100, high: 101, low: 99, close: 100 + (i % 2), volume: 5 })),
  price: async () => 104.5,
}))

type Backend = {
  generator: typeof import('../services/signalGenerator')
  tracker: typeof import('../services/feedbackTracker')
  predictor: typeof import('../services/mlPredictor')
  signalloop: typeof import('signalloop')
}
let backend: Backend

beforeEach(() => {
  process.env.SIGNALLOOP_HOME = newHome()
  jest.resetModules()
  backend = {
    generator: require('../services/signalGenerator'),
    tracker: require('../services/feedbackTracker'),
    predictor: require('../services/mlPredictor'),
    signalloop: require('signalloop'),
  }
})
afterEach(() => backend.signalloop.close())

for (const round of [1, 2, 3]) {
  test(`each test has a home and modules of its own, round ${round}`, async () => {
    const { generator, tracker } = backend
    const signal = await generator.generateSignal('BTC/USDT', '1h')
    expect(signal.signalType).toMatch(/BUY|SELL/)
    // Recorded before: the same signal again says so.
    expect(await tracker.feedbackTracker.recordSignal(signal)).toBe(true)
    expect((await tracker.feedbackTracker.getStats()).overall).toMatchObject({ totalSignals: 1, activeSignals: 1 })
  })
}

test('what the services export is what the backend had', async () => {
  const { tracker, predictor } = backend
  expect(new tracker.FeedbackTracker()).toBeInstanceOf(tracker.FeedbackTracker)
  expect(tracker.feedbackTracker).toBeInstanceOf(tracker.FeedbackTracker)
  expect(predictor.mlPredictor.isModelAvailable()).toBe(false)
  const shape = { success: false, signalType: 'HOLD', confidence: 0, mlPrediction: { signal: 'HOLD', probabilities: { SELL: 0, HOLD: 0, BUY: 0 } } }
  expect(await new predictor.MLPredictor().predict([])).toMatchObject(shape)
  expect(await new predictor.MLPredictor('ETHUSDT', '4h').predict([])).toMatchObject({ ...shape, error: expect.stringContaining('not empty') })
})

test('a signal whose recording fails is given all the same, and the failure is told', async () => {
  const { generator, tracker } = backend
  const told = jest.spyOn(console, 'error').mockImplementation(() => {})
  jest.spyOn(tracker.feedbackTracker, 'recordSignal').mockRejectedValue(new Error('the disk is full'))
  const { id } = await generator.generateSignal('BTC/USDT', '1h')
  await new Promise(setImmediate)
  expect(told).toHaveBeenCalledWith(`signal ${id} was not recorded: the disk is full`)
  jest.restoreAllMocks()
})
