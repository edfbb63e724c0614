import { join } from 'node:path'
import type { LoopEvent, SignalInput } from '..'
import { runNode } from './helpers/child'
import { NOWHERE, failure, newHome, newLoop } from './helpers/home'

const AGO = Date.now() - 3_600_000

const buy = (id: string): SignalInput => ({
  id, pair: 'BTCUSDT', signalType: 'BUY', confidence: 70, entryPrice: 100, stopLoss: 98, takeProfit: 104, timestamp: AGO,
})

/** Waits until `seen` is true; events come on their own time. */
async function until(seen: () => boolean, ms = 10_000): Promise<void> {
  const end = Date.now() + ms
  while (!seen()) {
    if (Date.now() > end) throw new Error('it did not come')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('closings by price and by hand are told, whole', async () => {
  const heard: LoopEvent[] = []
  const { feedbackTracker } = newLoop({ onEvent: (event) => heard.push(event) })
  await feedbackTracker.recordSignals([buy('a'), buy('b'), buy('c')])
  const [first] = await feedbackTracker.onPrice('BTCUSDT', 97.5, AGO + 1).then((closed) => closed.slice(0, 1))
  await feedbackTracker.recordSignal(buy('d'))
  await feedbackTracker.updateOutcome({ signalId: 'd', outcome: 'FAILURE', exitPrice: 99 })
  await feedbackTracker.updateOutcome({ signalId: 'd', outcome: 'SUCCESS' })
  await until(() => heard.length >= 4)
  expect(heard.map((event) => event.type)).toEqual(Array(4).fill('signalClosed'))
  const signals = heard.map((event) => (event.type === 'signalClosed' ? event.signal : undefined))
  expect(signals.map((signal) => signal?.id)).toEqual(['a', 'b', 'c', 'd'])
  expect(signals[0]).toEqual(first)
  expect(signals[3]).toMatchObject({ outcome: 'FAILURE', exitPrice: 99, profitLossPercent: -1 })
  expect(Math.abs(Date.parse(heard[0]!.at) - Date.now())).toBeLessThan(60_000)
  expect(heard[0]).not.toHaveProperty('dropped')
})

test('a listener can be taken off, and several listen', async () => {
  const loop = newLoop()
  const heard: string[] = []
  const offs = ['one', 'two'].map((name) => loop.onEvent((event) => heard.push(`${name} ${event.type}`)))
  const close = async (id: string) => {
    await loop.feedbackTracker.recordSignal(buy(id))
    await loop.feedbackTracker.updateOutcome({ signalId: id, outcome: 'SUCCESS', exitPrice: 101 })
  }
  await close('a')
  await until(() => heard.length === 2)
  offs[0]!()
  offs[0]!()
  await close('b')
  await until(() => heard.length === 3)
  expect(heard.sort()).toEqual(['one signalClosed', 'two signalClosed', 'two signalClosed'])
  await loop.close()
  expect((await failure(() => loop.onEvent(() => {}))).code).toBe('ERR_CLOSED')
})

test('what is no function is refused', async () => {
  const loop = newLoop()
  for (const wrong of [undefined, null, 5, 'listener', {}]) {
    const error = await failure(() => loop.onEvent(wrong as unknown as () => void))
    expect(error.code).toBe('ERR_INVALID_ARGUMENT')
    expect(error.message).toContain('must be a function')
  }
  const error = await failure(() => newLoop({ onEvent: 7 as unknown as () => void }))
  expect(error.code).toBe('ERR_INVALID_ARGUMENT')
  expect(error.message).toContain('onEvent')
})

test('a flood neither grows nor lies: what is left out is counted', async () => {
  const heard: LoopEvent[] = []
  const { feedbackTracker } = newLoop({ onEvent: (event) => heard.push(event) })
  const count = 5000
  await feedbackTracker.recordSignals(Array.from({ length: count }, (_, i) => buy(`s${i}`)))
  const closed = await feedbackTracker.onPrice('BTCUSDT', 104, AGO + 1)
  expect(closed).toHaveLength(count)
  await new Promise((resolve) => setTimeout(resolve, 200))
  // The next one tells what was left out.
  await feedbackTracker.recordSignal(buy('last'))
  await feedbackTracker.updateOutcome({ signalId: 'last', outcome: 'SUCCESS', exitPrice: 101 })
  const isLast = (event: LoopEvent) => event.type === 'signalClosed' && event.signal.id === 'last'
  await until(() => heard.some(isLast))
  const signals = heard.filter((event) => event.type === 'signalClosed')
  const dropped = heard.reduce((sum, event) => sum + (event.dropped ?? 0), 0)
  expect(signals.length + dropped).toBe(count + 1)
  expect(dropped).toBeGreaterThan(0)
})

test('listeners keep no process alive, and one that throws, or rejects where it is async, ends none', async () => {
  const env = { SIGNALLOOP_HOME: newHome(), SIGNALLOOP_EXCHANGE_URL: NOWHERE }
  const { code, stdout, ms } = await runNode([join(__dirname, 'programs', 'listen-forever.cjs')], { env })
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toEqual([
    'a listener that rejects', 'a listener that throws', 'default signalClosed', "onEvent threw 'a text'", 'own signalClosed',
  ])
  expect(ms).toBeLessThan(10_000)
})
