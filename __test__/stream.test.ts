import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LoopEvent, SchedulerConfiguration, SignalInput } from '..'
import { ROOT, runNode } from './helpers/child'
import { startExchange, type Exchange } from './helpers/exchange'
import { failure, newHome, newLoop } from './helpers/home'

const OFF = { enabled: false }
const only = (watch: NonNullable<SchedulerConfiguration['watch']>): SchedulerConfiguration => ({ watch, fetch: OFF, retrain: OFF, update: OFF, evaluate: OFF })

async function until(seen: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  const end = Date.now() + ms
  while (!(await seen())) {
    if (Date.now() > end) throw new Error('it did not come')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

let exchange: Exchange
let streamUrl: string
/** The price of the market at the beginning; 100 stands for it below. */
let base: number
beforeAll(async () => {
  exchange = await startExchange({ days: 2 })
  streamUrl = `${exchange.url.replace('http', 'ws')}/ws`
  const answer = await fetch(`${exchange.url}/api/v3/ticker/price?symbol=BTCUSDT`)
  base = Number(((await answer.json()) as { price: string }).price)
})
afterAll(() => exchange.stop())

async function simulator(path: string, method = 'GET'): Promise<{ streams: number }> {
  return (await fetch(`${exchange.url}/simulator/${path}`, { method })).json() as Promise<{ streams: number }>
}

const trade = (price: number) => simulator(`trade?symbol=BTCUSDT&price=${(price * base) / 100}`, 'POST')
const buy = (id: string, percent: number, entryPrice = (percent * base) / 100): SignalInput => ({
  id, symbol: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice, stopLoss: entryPrice * 0.99, takeProfit: entryPrice * 1.01, timestamp: Date.now(),
})

test('a trade at the exchange closes a signal at once, and the status tells the stream', async () => {
  const heard: LoopEvent[] = []
  await trade(100)
  const loop = newLoop({ exchangeUrl: exchange.url, onEvent: (event) => heard.push(event) })
  await loop.feedbackTracker.recordSignal(buy('a', 100))
  const scheduler = loop.startScheduler(only({ interval: '1h', prices: 'stream', streamUrl }))
  await until(() => scheduler.status().stream?.symbols === 1)
  await trade(100.1)
  await until(() => (scheduler.status().stream?.prices ?? 0) > 0)
  expect(scheduler.status().stream).toEqual({
    connectedSince: expect.stringMatching(/^2\d{3}-.*Z$/), symbols: 1, notStreamed: [], prices: expect.any(Number), latePrices: 0,
    unreadableMessages: 0, connections: 1,
  })
  await trade(98)
  await trade(100)
  await until(() => heard.some((event) => event.type === 'signalClosed'))
  const closed = heard.find((event) => event.type === 'signalClosed')
  expect(closed).toMatchObject({ signal: { id: 'a', outcome: 'STOPPED_OUT' } })
  await loop.close()
  await until(async () => (await simulator('requests')).streams === 0)
  expect(scheduler.status()).not.toHaveProperty('stream')
})

test('without an address there is no stream, and a wrong one is an error', async () => {
  const loop = newLoop({ exchangeUrl: exchange.url })
  const error = await failure(() => loop.startScheduler(only({ prices: 'ticker' as 'poll' })))
  expect([error.code, error.message]).toEqual(['ERR_INVALID_CONFIG', expect.stringContaining('`watch.prices` must be "stream" or "poll"')])
  expect((await failure(() => loop.startScheduler(only({ streamUrl: 'nowhere' })))).code).toBe('ERR_INVALID_CONFIG')
  const scheduler = loop.startScheduler(only({}))
  await until(() => scheduler.status().leader)
  expect(scheduler.status()).not.toHaveProperty('stream')
  await loop.close()
})

test('a stream keeps no process alive', async () => {
  const home = newHome()
  writeFileSync(join(home, 'scheduler_config.json'), JSON.stringify(only({ interval: '1h', prices: 'stream', streamUrl })))
  await trade(100)
  const program = `
    const { startScheduler, feedbackTracker } = require('./index.js')
    feedbackTracker.recordSignal(${JSON.stringify(buy('kept', 100))}).then(() => {
      const scheduler = startScheduler()
      const look = setInterval(() => {
        if (scheduler.status().stream?.symbols !== 1) return
        console.log('streamed')
        clearInterval(look)
      }, 50)
    })
  `
  const { code, stdout, stderr, ms } = await runNode(['-'], { input: program, env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: exchange.url } })
  expect([code, stdout, stderr]).toEqual([0, 'streamed\n', ''])
  expect(ms).toBeLessThan(15_000)
  await until(async () => (await simulator('requests')).streams === 0)
})

test('Jest finds no open handles', async () => {
  const args = [join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js'), '--detectOpenHandles', '-t', 'a trade at the exchange', __filename]
  const { code, stderr } = await runNode(args)
  expect(stderr).not.toContain('Jest has detected')
  expect([code, stderr]).toEqual([0, expect.stringContaining('1 passed')])
}, 60_000)
