// Faulty JavaScript around the addon, and huge inputs, must not affect the process or other callers.
import { join } from 'node:path'
import type { SignalInput } from '..'
import { runNode } from './helpers/child'
import { NOWHERE, failure, newHome, newLoop, records } from './helpers/home'

/** Runs a program of its own, with a home of its own. */
async function run(name: string, { args = [], flags = [] }: { args?: string[]; flags?: string[] } = {}) {
  const env = { SIGNALLOOP_HOME: newHome(), SIGNALLOOP_EXCHANGE_URL: NOWHERE }
  const { code, stdout, stderr } = await runNode([...flags, join(__dirname, 'programs', name), ...args], { env })
  return { code, stderr, lines: stdout.trim().split('\n') }
}
const any = (value: unknown) => value as any
const signal = (id: string) => ({ id, pair: 'BTCUSDT', signalType: 'BUY' as const, confidence: 70, entryPrice: 100, stopLoss: 95, takeProfit: 110, timestamp: 1.75e12 })

describe('the end of the stack', () => {
  test('is a RangeError of the engine, whatever export was called there, and leaves no promise behind', async () => {
    const { code, lines } = await run('stack.cjs')
    expect(lines.filter((line) => line.includes(':'))).toEqual([])
    expect(lines.at(-1)).toMatch(/^all \d+ work as before$/)
    expect(lines.length).toBeGreaterThan(70)
    expect(code).toBe(0)
  }, 120_000)

  test('is met by an ordinary mistake without ending the process', async () => {
    const program = `
      const { feedbackTracker } = require('signalloop')
      const save = (signal) => { feedbackTracker.recordSignal(signal).catch(() => {}); return save(signal) }
      try { save(${JSON.stringify(signal('a'))}) } catch (error) { console.log(error.name) }`
    const { code, stdout } = await runNode(['-'], { input: program, env: { SIGNALLOOP_HOME: newHome() } })
    expect([code, stdout.trim()]).toEqual([0, 'RangeError'])
  })
})

test('prices whose memory is given away while they are read count as they were given', async () => {
  const { code, stderr, lines } = await run('given-away.cjs')
  expect(lines).toEqual(['transferred []', 'times transferred []', 'resized []', 'shared []', 'detached "ERR_INVALID_ARGUMENT"', 'closed in a getter []'])
  expect([code, stderr]).toEqual([0, ''])
})

test('whoever breaks Promise.prototype.then does not keep promises from being settled', async () => {
  const { code, stderr, lines } = await run('patched-then.cjs')
  expect(lines).toEqual(['true true', 'true', 'fetched'])
  expect([code, stderr]).toEqual([0, ''])
})

test('close() in a worker leaves this thread its loop, its listeners and its scheduler', async () => {
  const { code, stderr, lines } = await run('neighbours.cjs')
  expect(lines).toEqual([
    'after a worker closed: true 2',
    'of the worker that closed, and had started it too: ERR_CLOSED true',
    'stopped here: false',
    'after the worker that alone had started it closed: false',
    'after the worker that alone had started it ended: false',
    'heard: 5',
    'after close(): ERR_CLOSED',
  ])
  expect([code, stderr]).toEqual([0, ''])
})

describe('very many', () => {
  test('signals at once hold the event loop up for moments', async () => {
    const { code, lines } = await run('in-bulk.cjs', { args: ['60000'] })
    expect(code).toBe(0)
    const { recorded, longest, total } = JSON.parse(lines[0]!) as { recorded: number; longest: number; total: number }
    expect(recorded).toBe(60_000)
    // Read in one go it is nearly half of the time.
    expect(longest).toBeLessThan(total / 6)
  }, 60_000)

  test('signals that an array only claims to hold are refused', async () => {
    const { feedbackTracker } = newLoop()
    for (const length of [1_000_001, 4_294_967_295]) {
      const sparse: SignalInput[] = []
      sparse.length = length
      expect(await failure(() => feedbackTracker.recordSignals(sparse))).toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        message: `argument \`signals\` must hold at most 1000000 signals: give more of them in parts; got ${length}`,
      })
    }
    const holes: SignalInput[] = []
    holes.length = 5000
    expect((await failure(() => feedbackTracker.recordSignals(holes))).code).toBe('ERR_INVALID_ARGUMENT')
    expect((await feedbackTracker.getStats()).overall.totalSignals).toBe(0)
  })

  test.each([
    ['prices', (loop: ReturnType<typeof newLoop>) => loop.feedbackTracker.onPrices([], new Float64Array(1_000_001)), 'prices', '1000000'],
    ['candles', (loop: ReturnType<typeof newLoop>) => loop.predict({ symbol: 'BTCUSDT', candles: Object.assign([], { length: 4e9 }) }), 'value', '1000000'],
    ['symbols', (loop: ReturnType<typeof newLoop>) => loop.train({ symbols: Object.assign([], { length: 4e9 }) }), 'value', '1000000'],
    ['characters', (loop: ReturnType<typeof newLoop>) => loop.feedbackTracker.recordSignal(any({ ...signal('a'), note: 'x'.repeat(2 ** 28) })), 'value', '268435456 bytes'],
    ['characters of a path', (loop: ReturnType<typeof newLoop>) => loop.feedbackTracker.exportTrainingData('x'.repeat(2 ** 28)), 'path', '268435456 bytes'],
    ['digits', (loop: ReturnType<typeof newLoop>) => loop.feedbackTracker.onPrice(any(2n ** 10_000_000n), 5), 'value', '4096 bits'],
  ])('%s are refused', async (_, work, argument, said) => {
    const error = await failure(() => work(newLoop()))
    expect([error.code, error.message]).toEqual(['ERR_INVALID_ARGUMENT', expect.stringContaining(said)])
    expect(error.message).toContain(`argument \`${argument}\``)
  })

  test('prices at once close what they hit, in their order, and before any later price is seen', async () => {
    const { feedbackTracker } = newLoop()
    await feedbackTracker.recordSignals(['BTCUSDT', 'ETHUSDT'].map((pair) => ({ ...signal(pair), pair })))
    const count = 50_000
    const batch = (last: string) => Array.from({ length: count }, (_, i) => (i === count - 2 ? 'ETH/USDT' : i === count - 1 ? last : `NONE${i}`))
    const prices = new Float64Array(count).fill(94)
    const times = new Float64Array(count).fill(1.751e12)

    expect((await failure(() => feedbackTracker.onPrices(batch('../x'), prices, times))).code).toBe('ERR_INVALID_ARGUMENT')
    const pairs = batch('BTCUSDT')
    const closing = feedbackTracker.onPrices(pairs, prices, times)
    const later = feedbackTracker.onPrice('BTCUSDT', 111, 1.752e12)
    // The arrays are the caller's again.
    pairs.length = 0
    prices.fill(1)
    expect((await closing).map(({ id, exitPrice }) => [id, exitPrice])).toEqual([['ETHUSDT', 94], ['BTCUSDT', 94]])
    expect(await later).toEqual([])
  })

  test('signals under way are recorded before the loop is closed', async () => {
    const loop = newLoop()
    const recording = loop.feedbackTracker.recordSignals(Array.from({ length: 5000 }, (_, i) => signal(`s-${i}`)))
    await loop.close()
    expect(await recording).toBe(5000)
    expect(records(loop.home).size).toBe(5000)
  })

  test('pairs that no signal is of leave nothing behind', async () => {
    const { code, lines } = await run('unknown-pairs.cjs', { flags: ['--expose-gc'] })
    expect(code).toBe(0)
    // When they were kept, each took 270 bytes.
    expect(Number(lines[0])).toBeLessThan(90)
  }, 60_000)
})

describe('signals in bulk that change while they are read', () => {
  const many = (changes: object = {}) => Array.from({ length: 3000 }, (_, i) => ({ ...signal(`s-${i}`), ...changes }))

  test('by a getter of one of them', async () => {
    const { feedbackTracker } = newLoop()
    const signals = many()
    Object.defineProperty(signals, 1500, {
      get: () => {
        signals.length = 1501
        return signal('s-1500')
      },
    })
    // What the array no longer has is no signal.
    expect((await failure(() => feedbackTracker.recordSignals(signals))).code).toBe('ERR_INVALID_ARGUMENT')
    expect((await feedbackTracker.getStats(undefined, undefined, 36_500)).overall.totalSignals).toBe(0)
  })

  test('by a getter that throws', async () => {
    const { feedbackTracker } = newLoop()
    const signals = Object.defineProperty(many(), 2500, {
      get() {
        throw new Error('a getter')
      },
    })
    expect(await failure(() => feedbackTracker.recordSignals(signals))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: 'argument `signals` could not be read; got Error: a getter',
    })
  })

  test('by their owner, who goes on using the array', async () => {
    const { feedbackTracker } = newLoop()
    const signals = many()
    const recording = feedbackTracker.recordSignals(signals)
    signals.length = 0
    expect(await recording).toBe(3000)
  })

  test('are as good as others where they can only be read value by value', async () => {
    const { feedbackTracker } = newLoop()
    const signals = many().map((one) => Object.create(one) as SignalInput)
    expect(await feedbackTracker.recordSignals(signals)).toBe(3000)
    expect((await feedbackTracker.getStats(undefined, undefined, 36_500)).overall.totalSignals).toBe(3000)
  })
})

describe('what a caller’s objects throw', () => {
  const hostile: [string, () => unknown][] = [
    ['an error that is its own cause', () => { const error = new Error('cyclic'); error.cause = error; return error }],
    ['an error of which no text can be made', () => ({ toString() { throw hostile[1]![1]() } })],
    ['nothing', () => undefined],
    ['a symbol', () => Symbol('thrown')],
  ]
  test.each(hostile)('%s', async (_, thrown) => {
    const { feedbackTracker } = newLoop()
    const object = any({ get id() { throw thrown() }, get signalId() { throw thrown() } })
    for (const work of [() => feedbackTracker.recordSignal(object), () => feedbackTracker.updateOutcome(object), () => feedbackTracker.recordSignals([object])]) {
      expect((await failure(work)).code).toBe('ERR_INVALID_ARGUMENT')
    }
    expect(await feedbackTracker.recordSignal(signal('a'))).toBe(true)
  })

  test('a signal of abortion that cannot be taken off again takes nothing from the training', async () => {
    const program = `
      const { SignalLoop } = require('signalloop')
      process.on('uncaughtException', (error) => console.log('told:', error.message))
      const signal = { aborted: false, addEventListener() {}, removeEventListener() { throw new Error('no') } }
      new SignalLoop().train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false, signal }).then(({ results }) => console.log(Object.keys(results).length))`
    const { code, stdout } = await runNode(['-'], { input: program, env: { SIGNALLOOP_HOME: newHome(), SIGNALLOOP_EXCHANGE_URL: NOWHERE } })
    expect(stdout.trim().split('\n').sort()).toEqual(['1', 'told: no'])
    expect(code).toBe(0)
  })
})
