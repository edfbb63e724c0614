import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import * as signalloop from '..'
import { candles, storeCandles } from './helpers/candles'
import { runNode, ROOT } from './helpers/child'
import { failure, newHome, newLoop } from './helpers/home'

const NAMES = [
  'FeedbackTracker',
  'MLPredictor',
  'SignalLoop',
  'close',
  'configure',
  'dashboard',
  'evaluate',
  'feedbackTracker',
  'fetchData',
  'generateSignal',
  'mlPredictor',
  'models',
  'onEvent',
  'predict',
  'report',
  'rollback',
  'startScheduler',
  'train',
]

const signal = (id: string) => ({
  id,
  pair: 'BTCUSDT',
  signalType: 'BUY' as const,
  confidence: 70,
  entryPrice: 100,
  takeProfit: 104,
  timestamp: Date.now(),
})

/** Makes a new folder the default home, and gives it. */
function defaultHome(): string {
  const home = newHome()
  process.env.SIGNALLOOP_HOME = home
  return home
}

const before = process.env.SIGNALLOOP_HOME
afterAll(() => {
  if (before === undefined) delete process.env.SIGNALLOOP_HOME
  else process.env.SIGNALLOOP_HOME = before
})

describe('every name is there', () => {
  test.each([
    ['require', [], `const m = require('signalloop'); console.log(JSON.stringify(Object.keys(m)))`],
    ['import', ['--input-type=module'], `const m = await import('signalloop'); console.log(JSON.stringify(Object.keys(m)))`],
    [
      'import by name',
      ['--input-type=module'],
      `import { ${NAMES.join(', ')} } from 'signalloop'; console.log(JSON.stringify(Object.keys({ ${NAMES.join(', ')} })))`,
    ],
  ])('by %s', async (_name, flags, program) => {
    const { code, stdout, stderr } = await runNode([...flags, '-'], { input: program, env: { SIGNALLOOP_HOME: newHome() } })
    expect([code, stderr]).toEqual([0, ''])
    expect(JSON.parse(stdout)).toEqual(expect.arrayContaining(NAMES))
  })

  test('and of the type that index.d.ts says', () => {
    for (const name of NAMES) {
      const expected = ['feedbackTracker', 'mlPredictor'].includes(name) ? 'object' : 'function'
      expect([name, typeof signalloop[name as keyof typeof signalloop]]).toEqual([name, expected])
    }
  })
})

test('SIGNALLOOP_HOME decides the default home, whenever it is set', async () => {
  for (let i = 0; i < 2; i++) {
    const home = defaultHome()
    expect(new signalloop.SignalLoop().home).toBe(home)
    await signalloop.feedbackTracker.recordSignal(signal('a'))
    const own = newLoop({ home })
    expect((await own.feedbackTracker.getStats()).overall.totalSignals).toBe(1)
    await signalloop.close()
  }
})

test('methods work taken off their object', async () => {
  defaultHome()
  const { recordSignal, onPrice, shouldCloseSignal, getStats } = signalloop.feedbackTracker
  expect(await recordSignal(signal('a'))).toBe(true)
  expect(shouldCloseSignal(signal('a'), 104)).toEqual({ shouldClose: true, outcome: 'TOOK_PROFIT', profitLoss: 4 })
  expect((await onPrice('BTC/USDT', 104)).map((one) => one.id)).toEqual(['a'])
  expect((await getStats()).overall.tookProfit).toBe(1)
  const { predict, isModelAvailable } = new signalloop.MLPredictor('ETH/USDT', '4h')
  expect(isModelAvailable()).toBe(false)
  expect(await predict([])).toMatchObject({ success: false, signalType: 'HOLD' })
  await signalloop.close()
})

describe('isModelAvailable never throws', () => {
  const { MLPredictor } = signalloop
  let warned: jest.SpyInstance
  beforeEach(() => {
    warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
  })
  afterEach(async () => {
    warned.mockRestore()
    await signalloop.close().catch(() => {})
  })

  test.each<[string, (home: string) => void, RegExp, string]>([
    ['a wrong value in its configuration', (home) => writeFileSync(join(home, 'training_config.json'), '{"trees": 1}'), /`trees` must be/, 'ERR_INVALID_CONFIG'],
    ['a configuration that is no JSON', (home) => writeFileSync(join(home, 'training_config.json'), '{"trees"'), /JSON/, 'ERR_INVALID_CONFIG'],
    ['a file in its place', (home) => {
      rmSync(home, { recursive: true })
      writeFileSync(home, '')
    }, /a file is where a folder must be/, 'ERR_STORE'],
  ])('of a home with %s: it is false, and the process is warned once', async (_name, spoil, said, code) => {
    const home = defaultHome()
    spoil(home)
    const predictor = new MLPredictor()
    expect([predictor.isModelAvailable(), predictor.isModelAvailable()]).toEqual([false, false])
    expect(warned.mock.calls).toEqual([[expect.stringMatching(said), expect.objectContaining({ code })]])
    rmSync(home, { recursive: true })
    expect(predictor.isModelAvailable()).toBe(false)
  })

  test('of a damaged model: it is false, and an event says why, once', async () => {
    const told: string[] = []
    const loop = newLoop({ onEvent: (event) => void (event.type === 'warning' && told.push(event.message)) })
    storeCandles(loop.home, candles(600))
    await loop.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })
    await loop.close()
    for (const name of readdirSync(join(loop.home, 'models'), { recursive: true, encoding: 'utf8' })) {
      if (name.endsWith('.model')) writeFileSync(join(loop.home, 'models', name), 'not a model')
    }
    const again = newLoop({ home: loop.home, onEvent: (event) => void (event.type === 'warning' && told.push(event.message)) })
    expect([again.predictor().isModelAvailable(), again.predictor().isModelAvailable()]).toEqual([false, false])
    while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await again.close()
    expect(told).toEqual([expect.stringMatching(/^the model of BTCUSDT 1h cannot be used: .*\[ERR_MODEL_FILE\]$/)])
  })

  test('of a closed loop, and of a database that cannot be reached', async () => {
    const loop = newLoop()
    const predictor = loop.predictor()
    await loop.close()
    expect(predictor.isModelAvailable()).toBe(false)
    const away = newLoop({ store: 'postgres://signalloop@127.0.0.1:9/none' })
    expect(away.predictor().isModelAvailable()).toBe(false)
  })
})

test('a home may begin with the tilde that no shell has expanded', async () => {
  const name = `signalloop-test-${process.pid}-${Date.now()}`
  const meant = join(homedir(), name)
  expect(newLoop({ home: `~/${name}` }).home).toBe(meant)
  process.env.SIGNALLOOP_HOME = `~/${name}`
  try {
    await signalloop.feedbackTracker.recordSignal(signal('a'))
    expect(readdirSync(join(meant, 'feedback'))).toContain('signals.jsonl')
    const { stdout } = await runNode([join(ROOT, 'bin', 'signalloop.js'), 'stats', '--json'], { env: { SIGNALLOOP_HOME: `~/${name}` } })
    expect(JSON.parse(stdout).overall.totalSignals).toBe(1)
  } finally {
    await signalloop.close()
    rmSync(meant, { recursive: true, force: true })
  }
})

test('jest can spy on a method, and put it back', async () => {
  defaultHome()
  const spy = jest.spyOn(signalloop.feedbackTracker, 'recordSignal').mockResolvedValue(false)
  expect(await signalloop.feedbackTracker.recordSignal(signal('a'))).toBe(false)
  expect(spy).toHaveBeenCalledTimes(1)
  spy.mockRestore()
  expect(await signalloop.feedbackTracker.recordSignal(signal('a'))).toBe(true)
  await signalloop.close()
})

test('a subclass overrides what it likes, and calls what it overrides', async () => {
  defaultHome()
  const seen: string[] = []
  class Tracker extends signalloop.FeedbackTracker {
    override async recordSignal(given: signalloop.SignalInput) {
      seen.push(given.id)
      return super.recordSignal(given)
    }
  }
  class Predictor extends signalloop.MLPredictor {
    override isModelAvailable() {
      seen.push('asked')
      return super.isModelAvailable()
    }
  }
  const tracker = new Tracker()
  expect(await tracker.recordSignal(signal('a'))).toBe(true)
  expect((await tracker.getStats()).overall.totalSignals).toBe(1)
  expect(new Predictor().isModelAvailable()).toBe(false)
  expect(seen).toEqual(['a', 'asked'])
  expect(new signalloop.FeedbackTracker()).toBeInstanceOf(signalloop.FeedbackTracker)
  await signalloop.close()
})

test('a module loaded anew meets the same store', async () => {
  defaultHome()
  await signalloop.feedbackTracker.recordSignal(signal('a'))
  jest.resetModules()
  const again = require('..') as typeof signalloop
  expect(again.feedbackTracker).not.toBe(signalloop.feedbackTracker)
  expect((await again.feedbackTracker.getStats()).overall.totalSignals).toBe(1)
  expect((await again.feedbackTracker.onPrice('BTCUSDT', 104)).map((one) => one.id)).toEqual(['a'])
  expect(await signalloop.feedbackTracker.onPrice('BTCUSDT', 104)).toEqual([])
  await again.close()
})

test('loops of different homes are separate, of the same home share the store', async () => {
  const [one, other] = [newLoop(), newLoop()]
  const same = newLoop({ home: one.home })
  one.configure({ trees: 20 })
  await one.feedbackTracker.recordSignal(signal('a'))
  expect((await other.feedbackTracker.getStats()).overall.totalSignals).toBe(0)
  expect((await same.feedbackTracker.getStats()).overall.totalSignals).toBe(1)
  expect((await same.feedbackTracker.onPrice('BTCUSDT', 104)).map((closed) => closed.id)).toEqual(['a'])
  expect(await one.feedbackTracker.onPrice('BTCUSDT', 104)).toEqual([])
  expect((await one.feedbackTracker.getStats()).overall.tookProfit).toBe(1)
})

test('a closed loop refuses its store; the default loop opens anew', async () => {
  const loop = newLoop()
  const { feedbackTracker } = loop
  await feedbackTracker.recordSignal(signal('a'))
  await loop.close()
  await loop.close()
  for (const call of [() => feedbackTracker.recordSignal(signal('b')), () => feedbackTracker.getStats(), () => feedbackTracker.onPrice('BTCUSDT', 5)]) {
    expect((await failure(call)).code).toBe('ERR_CLOSED')
  }

  defaultHome()
  await signalloop.feedbackTracker.recordSignal(signal('a'))
  await signalloop.close()
  expect(await signalloop.feedbackTracker.recordSignal(signal('b'))).toBe(true)
  expect((await signalloop.feedbackTracker.getStats()).overall.totalSignals).toBe(2)
  await signalloop.close()
})

test('what was asked before close() is done', async () => {
  // A race: one round in four shows it.
  for (let round = 0; round < 40; round++) {
    const loop = newLoop()
    const recording = Array.from({ length: 50 }, (_, i) => loop.feedbackTracker.recordSignal(signal(`s${i}`)))
    await Promise.all([...recording, loop.close()])
  }
})

test('opening a loop and asking writes nothing', async () => {
  const home = join(newHome(), 'not', 'yet')
  const loop = newLoop({ home })
  expect(loop.home).toBe(home)
  expect(await loop.models()).toEqual([])
  expect(loop.predictor().isModelAvailable()).toBe(false)
  expect(() => mkdirSync(home)).toThrow(/ENOENT/)
})

test('the package names what it ships', () => {
  const manifest = require(join(ROOT, 'package.json'))
  expect(require.resolve('signalloop')).toBe(join(ROOT, manifest.main))
  expect(Object.keys(manifest.dependencies ?? {})).toEqual([])
})
