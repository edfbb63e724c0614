import { SignalLoop, type Assessment, type Pattern } from '..'
import { runNode } from './helpers/child'
import { newHome } from './helpers/home'

const HOUR = 3_600_000

const levels = { pair: 'BTC/USDT', signalType: 'BUY', entryPrice: 100, stopLoss: 98, takeProfit: 104 } as const

async function learned(home: string) {
  const loop = new SignalLoop({ home })
  // One after the other: what is under way at the same time would not be worth so many.
  const first = Date.now() - 121 * HOUR
  const signals = Array.from({ length: 120 }, (_, i) => ({
    ...levels,
    id: `s${i}`,
    confidence: 70,
    timestamp: first + i * HOUR,
    indicators: { rsi: i % 2 === 0 ? 75 + (i % 10) : 40 + (i % 10), 'my own': i % 7 },
  }))
  for (const signal of signals) {
    await loop.feedbackTracker.recordSignal(signal)
    const price = signal.indicators.rsi > 70 ? signal.stopLoss : signal.takeProfit
    expect(await loop.feedbackTracker.onPrice(signal.pair, price, signal.timestamp + HOUR)).toHaveLength(1)
  }
  return loop
}

test('outcomes change the chances of the next signal, with reasons and patterns', async () => {
  const home = newHome()
  const loop = await learned(home)
  const assess = (rsi?: number): Promise<Assessment> => loop.feedbackTracker.assess({ ...levels, indicators: { rsi } })

  const [hot, calm, unknown] = [await assess(80), await assess(45), await assess()]
  expect(hot).toMatchObject({ take: false, closed: 120 })
  expect(hot.successProbability).toBeLessThan(0.2)
  expect(hot.reasons.join('\n')).toMatch(/rsi at or above .*: \d+ of \d+ succeeded/)
  expect(calm).toMatchObject({ take: true })
  expect(calm.successProbability).toBeGreaterThan(0.7)
  expect(unknown.successProbability).toBeGreaterThan(hot.successProbability)
  expect(unknown.successProbability).toBeLessThan(calm.successProbability)
  // (1 + 0.1 % of costs on 2 % of risk) ÷ (1 + 2).
  expect(hot.threshold).toBeCloseTo(0.35, 9)

  const patterns: Pattern[] = await loop.feedbackTracker.patterns('BTCUSDT')
  expect(patterns[0]).toMatchObject({ rule: expect.stringContaining('rsi'), baseRate: 50 })
  expect(patterns[0]?.pValue).toBeLessThanOrEqual(0.05)
  expect(await loop.feedbackTracker.patterns('ETHUSDT')).toEqual([])
  await loop.close()

  const { code, stdout } = await runNode(['bin/signalloop.js', 'patterns', '--home', home, '--json'])
  expect(code).toBe(0)
  expect(JSON.parse(stdout)[0]).toMatchObject({ rule: patterns[0]?.rule, count: patterns[0]?.count })
})

test('what cannot be assessed is refused by name, and without evidence the levels speak', async () => {
  const loop = new SignalLoop({ home: newHome() })
  const { assess, patterns } = loop.feedbackTracker
  const ask = assess.bind(loop.feedbackTracker)
  await expect(ask({ ...levels, signalType: 'HOLD' })).rejects.toMatchObject({ code: 'ERR_INVALID_SIGNAL' })
  await expect(ask({ ...levels, stopLoss: 101 })).rejects.toMatchObject({
    code: 'ERR_INVALID_SIGNAL',
    message: expect.stringContaining('stopLoss'),
  })
  await expect(patterns.call(loop.feedbackTracker, 'not a pair!')).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
  const nothing = await ask(levels)
  expect(nothing).toMatchObject({ closed: 0, effectiveSampleSize: 0, take: false })
  expect(nothing.successProbability).toBeCloseTo(1 / 3, 9)
  expect(nothing.reasons.join()).toContain('no signal has closed yet')
  await loop.close()
})
