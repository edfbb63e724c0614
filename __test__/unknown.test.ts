// A signal that ended while no prices were known is reported, counted separately, in no other figure, and not learned from.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClosedSignal, LoopEvent } from '..'
import { ROOT, runNode } from './helpers/child'
import { failure, newLoop } from './helpers/home'

const signal = (id: string) => ({
  id, pair: 'BTC/USDT', signalType: 'BUY' as const, confidence: 60, entryPrice: 100, stopLoss: 98, takeProfit: 104, timestamp: Date.now() - 60_000,
})

test('is closed by hand without price and profit, and shown wherever signals are counted', async () => {
  const closed: ClosedSignal[] = []
  const loop = newLoop({ onEvent: (event: LoopEvent) => void (event.type === 'signalClosed' && closed.push(event.signal)) })
  const tracker = loop.feedbackTracker
  await tracker.recordSignals([signal('a'), signal('b'), signal('c')])
  for (const more of [{ exitPrice: 101 }, { profitLossPercent: 1 }]) {
    const refused = await failure(() => tracker.updateOutcome({ signalId: 'a', outcome: 'UNKNOWN', ...more }))
    expect(refused).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(Object.keys(more)[0]!) })
  }
  expect(await tracker.updateOutcome({ signalId: 'a', outcome: 'UNKNOWN' })).toBe(true)
  expect(await tracker.updateOutcome({ signalId: 'a', outcome: 'SUCCESS', exitPrice: 101 })).toBe(false)
  expect(await tracker.onPrice('BTC/USDT', 104)).toHaveLength(2)

  const { overall } = await tracker.getStats()
  expect(overall).toMatchObject({ totalSignals: 3, activeSignals: 0, unknownSignals: 1, closedSignals: 2, successfulSignals: 2, failedSignals: 0, successRate: 100 })
  while (closed.length < 3) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(closed).toHaveLength(3)
  expect(closed[0]).toMatchObject({ id: 'a', outcome: 'UNKNOWN', profitLossPercent: 0 })
  expect(closed[0]).not.toHaveProperty('exitPrice')
  expect((await tracker.assess(signal('d'))).closed).toBe(2)
  expect(await loop.metrics()).toMatch(/signalloop_closed_signals_total\{outcome="UNKNOWN",symbol="BTCUSDT"\} 1\n/)
  const rows = join(loop.home, 'rows.csv')
  expect(await tracker.exportTrainingData(rows)).toBe(2)
  expect(readFileSync(rows, 'utf8')).not.toContain('UNKNOWN')
  const { path } = await loop.report()
  expect(readFileSync(path, 'utf8')).toMatch(/"unknownSignals":1/)

  const { stdout } = await runNode([join(ROOT, 'bin', 'signalloop.js'), 'stats', '--home', loop.home])
  expect(stdout).toContain('1 more ended as UNKNOWN')
})
