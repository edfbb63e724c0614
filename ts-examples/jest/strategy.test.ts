// How to test code that uses signalloop: a separate home per file, a real store (it takes milliseconds), spies where a test needs a
// certain answer, and `close()` at the end.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { close, feedbackTracker, type Assessment, type SignalInput } from 'signalloop'
import { consider } from './strategy'

const home = mkdtempSync(join(tmpdir(), 'strategy-'))
beforeAll(() => {
  process.env.SIGNALLOOP_HOME = home
})
afterEach(() => {
  jest.restoreAllMocks()
})
afterAll(async () => {
  await close()
  rmSync(home, { recursive: true })
})

const signal = (id: string): SignalInput => ({
  id, pair: 'BTC/USDT', signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 98, takeProfit: 104, timestamp: Date.now(),
})

test('with nothing learned, a bet at 2:1 is not expected to pay its costs', async () => {
  expect(await consider(signal('a'))).toEqual({ taken: false, why: expect.arrayContaining([expect.stringContaining('no signal has closed yet')]) })
  const { overall, followed } = await feedbackTracker.getStats()
  expect([overall.totalSignals, followed.activeSignals]).toEqual([0, 1])
})

test('what is taken is traded', async () => {
  const assessment: Assessment = {
    successProbability: 0.6, probabilityInterval: { low: 0.5, high: 0.7 }, baseRate: 0.5, expectedR: 0.75, expectedRInterval: { low: 0.45, high: 1.05 },
    threshold: 0.35, take: true, suggestedRisk: 0.06, served: 'all', reasons: ['like it'], evidence: [], closed: 90, effectiveSampleSize: 80, contributions: [], unusedIndicators: [],
  }
  jest.spyOn(feedbackTracker, 'assess').mockResolvedValue(assessment)
  expect(await consider(signal('b'))).toEqual({ taken: true, why: ['like it'] })
  expect((await feedbackTracker.getStats()).overall.activeSignals).toBe(1)
})
