import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import * as signalloop from '..'
import type { LoopOptions } from '..'
import { runNode } from './helpers/child'
import { NOWHERE, failure, newHome, newLoop, records } from './helpers/home'

const FLOOD = join(__dirname, 'programs', 'flood.cjs')
const signal = (id: string, changes: object = {}) => ({
  id, pair: 'BTC/USDT', signalType: 'BUY' as const, confidence: 70, entryPrice: 100, stopLoss: 95, takeProfit: 110,
  timestamp: Date.now() - 60_000, ...changes,
})

test('thousands of promises at once settle in order, each with its own result or error', async () => {
  const { feedbackTracker, home } = newLoop()
  const first = signal('s-0')
  await feedbackTracker.recordSignal(first)
  const settled: number[] = []
  const results = await Promise.all(
    Array.from({ length: 5000 }, async (_, i) => {
      const asked = [
        () => feedbackTracker.recordSignal(signal(`s-${i}`)),
        () => feedbackTracker.recordSignal({ ...first, confidence: 1 }),
        () => feedbackTracker.recordSignal(signal(`s-${i}`, { stopLoss: 100 + i })),
        () => feedbackTracker.updateOutcome({ signalId: `s-${i - 3}`, outcome: 'SUCCESS', profitLossPercent: i }),
        () => feedbackTracker.updateOutcome({ signalId: `s-${i - 4}`, outcome: 'FAILURE', profitLossPercent: 0 }),
      ][i % 5]
      const result = await asked!().catch((error: { code: string }) => error.code)
      if (i % 5 !== 2) settled.push(i)
      return result
    }),
  )
  // The first five meet the signal that was recorded before.
  const expected = [true, 'ERR_SIGNAL_CONFLICT', 'ERR_INVALID_SIGNAL', true, false]
  for (const [i, result] of results.slice(5).entries()) expect([i, result]).toEqual([i, expected[i % 5]])
  expect(settled).toEqual(settled.toSorted((a, b) => a - b))
  const stored = records(home)
  expect(stored.size).toBe(1000)
  expect(stored.get('s-4995')).toMatchObject({ outcome: 'SUCCESS', profit_loss_percent: 4998 })
})

test('what was asked before close() in the same turn is done, what comes after it is refused', async () => {
  const loop = newLoop()
  await loop.feedbackTracker.recordSignal(signal('open'))
  const before = Array.from({ length: 100 }, (_, i) => loop.feedbackTracker.recordSignal(signal(`s-${i}`)))
  const closed = loop.feedbackTracker.updateOutcome({ signalId: 'open', outcome: 'SUCCESS', profitLossPercent: 1 })
  const closing = loop.close()
  const late = () => failure(() => loop.feedbackTracker.recordSignal(signal('late')))
  expect((await late()).code).toBe('ERR_CLOSED')
  await closing
  expect((await late()).code).toBe('ERR_CLOSED')
  expect(await Promise.all(before)).toEqual(before.map(() => true))
  expect(await closed).toBe(true)
  expect(records(loop.home).size).toBe(101)
})

describe('close() while candles are awaited', () => {
  const market = { symbols: ['BTCUSDT'], timeframes: ['1h'] } as const
  const ends = async (options: LoopOptions, asked: Promise<unknown>) => {
    const loop = newLoop(options)
    const calls = [loop.generateSignal({ symbol: 'BTCUSDT' }), loop.fetchData(market), loop.train(market)].map((call) => failure(() => call))
    const recorded = loop.feedbackTracker.recordSignal(signal('kept'))
    await asked
    const began = Date.now()
    await loop.close()
    expect(Date.now() - began).toBeLessThan(3_000)
    expect((await Promise.all(calls)).map((error) => error.code)).toEqual(['ERR_CANCELLED', 'ERR_CANCELLED', 'ERR_CANCELLED'])
    expect(await recorded).toBe(true)
    expect([...records(loop.home).keys()]).toEqual(['kept'])
  }

  test('of a callback that never answers', async () => {
    let ask = () => {}
    const asked = new Promise<void>((resolve) => (ask = resolve))
    const fetchCandles = () => {
      ask()
      return new Promise<never>(() => {})
    }
    await ends({ fetchCandles }, asked)
  })

  test('of an exchange that never answers', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await ends({ exchangeUrl: `http://127.0.0.1:${port}` }, once(server, 'request'))
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
})

test('workers that are terminated while records are pending harm neither this thread nor the store they share', async () => {
  const home = newHome()
  process.env.SIGNALLOOP_HOME = home
  try {
    for (let round = 0; round < 5; round++) {
      const env = { ...process.env, SIGNALLOOP_HOME: home }
      const workers = ['a', 'b'].map((name) => new Worker(FLOOD, { env, workerData: { name: `${name}-${round}` } }))
      await Promise.all(workers.map((worker) => once(worker, 'message')))
      const own = Array.from({ length: 50 }, (_, i) => signalloop.feedbackTracker.recordSignal(signal(`own-${round}-${i}`)))
      await new Promise((resolve) => setTimeout(resolve, 10 * round))
      await Promise.all(workers.map((worker) => worker.terminate()))
      expect(await Promise.all(own)).toEqual(own.map(() => true))
    }
    // What the workers left in the writer's queue is written before the store closes.
    await signalloop.close()
    const { overall } = await signalloop.feedbackTracker.getStats(undefined, undefined, 36_500)
    const stored = records(home)
    expect(overall.totalSignals).toBe(stored.size)
    expect([...stored.keys()].filter((id) => id.startsWith('own-'))).toHaveLength(250)
  } finally {
    await signalloop.close()
    delete process.env.SIGNALLOOP_HOME
  }
}, 60_000)

test('a process lives until its last promise is settled, and then ends by itself', async () => {
  const env = { SIGNALLOOP_HOME: newHome(), SIGNALLOOP_EXCHANGE_URL: NOWHERE }
  // The first run opens the store on another thread, the second finds a log; both leave everything pending at the end.
  for (const count of [1, 3000]) {
    const { code, stdout, stderr, ms } = await runNode([FLOOD, String(count)], { env })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout.trim().split('\n')).toEqual(Array.from({ length: count }, () => 'true'))
    expect(ms).toBeLessThan(15_000)
  }
  expect(records(env.SIGNALLOOP_HOME).size).toBe(3000)
})

test('promises of a module and of the same module loaded anew are pending at once', async () => {
  process.env.SIGNALLOOP_HOME = newHome()
  try {
    await signalloop.feedbackTracker.recordSignal(signal('open'))
    const old = Array.from({ length: 100 }, (_, i) => signalloop.feedbackTracker.recordSignal(signal(`old-${i}`)))
    jest.resetModules()
    const again = require('..') as typeof signalloop
    const young = Array.from({ length: 100 }, (_, i) => again.feedbackTracker.recordSignal(signal(`new-${i}`)))
    expect(await Promise.all([...old, ...young])).toEqual(Array.from({ length: 200 }, () => true))
    expect((await again.feedbackTracker.getStats()).overall.totalSignals).toBe(201)
    await again.close()
  } finally {
    delete process.env.SIGNALLOOP_HOME
  }
})

describe('signals in bulk', () => {
  const many = (changes: Record<number, object> = {}) => Array.from({ length: 1700 }, (_, i) => signal(`s-${i}`, changes[i]))

  test('are written in the order of the array', async () => {
    const { feedbackTracker, home } = newLoop()
    expect(await feedbackTracker.recordSignals(many())).toBe(1700)
    expect([...records(home).keys()]).toEqual(many().map(({ id }) => id))
  })

  test.each([
    ['a wrong level', { 700: { stopLoss: 101 }, 1500: { confidence: 101 } }, 'ERR_INVALID_SIGNAL', '`stopLoss` must be below the entry price of a BUY; got 101 at entry 100'],
    ['not a number', { 1500: { takeProfit: NaN } }, 'ERR_INVALID_SIGNAL', '`takeProfit` must be a finite price above 0; got "NaN"'],
  ])('are refused together for %s in one of them', async (_, changes, code, message) => {
    const { feedbackTracker } = newLoop()
    const error = await failure(() => feedbackTracker.recordSignals(many(changes)))
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string })
    expect((await feedbackTracker.getStats()).overall.totalSignals).toBe(0)
  })

  test('are refused together for one that is no object', async () => {
    const { feedbackTracker } = newLoop()
    const error = await failure(() => feedbackTracker.recordSignals([...many(), 5 as never]))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: 'argument `signal` must be an object; got 5' })
    expect((await feedbackTracker.getStats()).overall.totalSignals).toBe(0)
  })
})

test('what a signal inherits counts, for recording it and for closing it', async () => {
  const { feedbackTracker, home } = newLoop()
  await feedbackTracker.recordSignal(signal('open'))
  const inherited = () => Object.create(signal('child', { stopLoss: 99 })) as ReturnType<typeof signal>
  expect(await feedbackTracker.recordSignal(inherited())).toBe(true)
  expect(await feedbackTracker.recordSignals([Object.assign(inherited(), { id: 'second' })])).toBe(1)
  const stored = records(home)
  expect(stored.get('child')).toMatchObject({ stop_loss: 99, take_profit: 110 })
  expect(stored.get('second')).toMatchObject({ stop_loss: 99, take_profit: 110 })
  expect(feedbackTracker.shouldCloseSignal(inherited(), 99)).toEqual({ shouldClose: true, outcome: 'STOPPED_OUT', profitLoss: -1 })
})
