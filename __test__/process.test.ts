import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { candles, storeCandles } from './helpers/candles'
import { runNode } from './helpers/child'
import { NOWHERE, newHome, newLoop, records } from './helpers/home'

const program = (name: string) => join(__dirname, 'programs', name)

test('a worker thread loads, records and ends', async () => {
  const home = newHome()
  const worker = new Worker(program('worker.cjs'), { workerData: { home, id: 'worker' } })
  const ended = once(worker, 'exit')
  expect((await once(worker, 'message'))[0]).toBe(true)
  expect((await ended)[0]).toBe(0)
  const own = newLoop({ home })
  expect((await own.feedbackTracker.getStats()).overall.totalSignals).toBe(1)
})

test('a worker that is terminated while it trains leaves this thread alive', async () => {
  const home = newHome()
  storeCandles(home, candles(500))
  for (let i = 0; i < 3; i++) {
    const worker = new Worker(program('worker.cjs'), { workerData: { home, id: `worker-${i}`, train: true } })
    await once(worker, 'message')
    await new Promise((resolve) => setTimeout(resolve, 20))
    await worker.terminate()
  }
  expect([...records(home).keys()]).toEqual(['worker-0', 'worker-1', 'worker-2'])
  const own = newLoop({ home })
  expect(await own.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })).toMatchObject({ successful: 1 })
})

test('a process with nothing more to do ends by itself', async () => {
  const home = newHome()
  storeCandles(home, candles(400))
  const env = { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE }
  const { code, stdout, stderr, ms } = await runNode([program('record-and-train.cjs')], { env })
  expect([code, stderr]).toEqual([0, ''])
  expect(JSON.parse(stdout)).toEqual({ recorded: true, successful: 1 })
  expect(ms).toBeLessThan(15_000)
})

test('no argument, however odd, ends the process or escapes the contract of errors', async () => {
  const env = { SIGNALLOOP_HOME: newHome(), SIGNALLOOP_EXCHANGE_URL: NOWHERE }
  const { code, stdout, stderr } = await runNode([program('odd-arguments.cjs')], { env })
  expect(stdout.trim().split('\n')).toEqual(['alive'])
  expect([code, stderr]).toEqual([0, ''])
}, 120_000)
