import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { candles as rows, storeCandles } from './helpers/candles'
import { ROOT } from './helpers/child'
import { failure, newLoop } from './helpers/home'

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const unique = (text: string) => [...new Set(text.match(/ERR_[A-Z_]+(?<!_)/g))].sort()

/** The members of the type `ErrorCode`. */
const declared = unique(/export type ErrorCode =[^/]*/.exec(read('index.d.ts'))![0])

test('docs/errors.md explains every code, and only those', () => {
  const documented = read('docs/errors.md')
    .split('\n')
    .filter((line) => line.startsWith('### '))
    .join()
  expect(declared.length).toBeGreaterThan(10)
  expect(unique(documented)).toEqual(declared)
  for (const section of read('docs/errors.md').split('### ').slice(1)) {
    expect(section).toMatch(/\*\*When:\*\*[\s\S]+\n> [\s\S]+\*\*What to do:\*\*/)
  }
})

test('the codes of the type are those of the sources', () => {
  expect(unique(read('crates/domain/src/error.rs'))).toEqual(declared)
})

test('what a closed loop answers stands in the comment of each method', async () => {
  const loop = newLoop()
  const [scheduler, market] = [loop.startScheduler({ enabled: false }), { symbol: 'BTCUSDT' }]
  const signal = { id: 'a', pair: 'BTCUSDT', signalType: 'BUY' as const, confidence: 1, entryPrice: 100, timestamp: Date.now() }
  const tracker = loop.feedbackTracker
  await loop.close()
  const calls: Record<string, () => unknown> = {
    onEvent: () => loop.onEvent(() => {}),
    startScheduler: () => loop.startScheduler(),
    evaluate: () => loop.evaluate(market),
    train: () => loop.train(),
    predict: () => loop.predict(market),
    generateSignal: () => loop.generateSignal(market),
    fetchData: () => loop.fetchData(),
    models: () => loop.models(),
    report: () => loop.report(),
    rollback: () => loop.rollback(market),
    metrics: () => loop.metrics(),
    runOnce: () => scheduler.runOnce('evaluate'),
    recordSignal: () => tracker.recordSignal(signal),
    recordSignals: () => tracker.recordSignals([signal]),
    updateOutcome: () => tracker.updateOutcome({ signalId: 'a', outcome: 'SUCCESS' }),
    amendSignal: () => tracker.amendSignal({ signalId: 'a', stopLoss: 1 }),
    cancelSignal: () => tracker.cancelSignal({ signalId: 'a' }),
    getSignal: () => tracker.getSignal('a'),
    onPrice: () => tracker.onPrice('BTCUSDT', 1),
    onPrices: () => tracker.onPrices(['BTCUSDT'], new Float64Array([1])),
    onCandle: () => tracker.onCandle('BTCUSDT', [Date.now() - 7_200_000, 1, 1, 1, 1, 1]),
    exportTrainingData: () => tracker.exportTrainingData('x.csv'),
    importSignals: () => tracker.importSignals('x.jsonl'),
    compact: () => tracker.compact(),
    recovery: () => tracker.recovery(),
    getStats: () => tracker.getStats(),
    getPerformanceStats: () => tracker.getPerformanceStats(),
    assess: () => tracker.assess(signal),
    patterns: () => tracker.patterns(),
    scorecard: () => tracker.scorecard(),
    advise: () => tracker.advise(),
  }
  const declarations = read('index.d.ts')
  const comment = (name: string): string => {
    const said = new RegExp(`/\\*\\*((?:(?!\\*/)[\\s\\S])*)\\*/\\n  ${name}\\(`, 'g')
    // The class `SignalLoop` comes last: `predict` of another has the same name.
    const text = [...declarations.matchAll(said)].at(-1)![1]!
    const like = /Rejects like `(\w+)`/.exec(text)?.[1]
    return like ? text + comment(like) : text
  }
  for (const [name, call] of Object.entries(calls)) {
    expect([name, (await failure(call)).code]).toEqual([name, 'ERR_CLOSED'])
    expect([name, comment(name)]).toEqual([name, expect.stringContaining('`ERR_CLOSED`')])
  }
})

test('the example messages are the ones that come', async () => {
  const loop = newLoop()
  const { feedbackTracker } = loop
  const signal = { id: 's1', pair: 'BTCUSDT', signalType: 'BUY' as const, confidence: 1, entryPrice: 100, timestamp: Date.now() }
  await feedbackTracker.recordSignal(signal)
  const candles = Array.from({ length: 99 }, () => ({ open: 1, high: 1, low: 1, close: 1, volume: 1 }))
  storeCandles(loop.home, rows(500))
  await loop.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })
  const errors = [
    await failure(() => feedbackTracker.recordSignal({ ...signal, stopLoss: 101 })),
    await failure(() => feedbackTracker.recordSignal({ ...signal, entryPrice: 99 })),
    await failure(() => feedbackTracker.onPrice('BTCUSDT', NaN)),
    await failure(() => loop.configure({ trees: 3 })),
    await failure(() => loop.predict({ symbol: 'BTCUSDT', candles })),
    await failure(() => loop.predict({ symbol: 'ETHUSDT', candles: [...candles, candles[0]!] })),
    await failure(() => loop.predict({ symbol: 'BTCUSDT', candles: candles.map((one, i) => (i === 7 ? { ...one, close: NaN } : one)) })),
    await failure(() => loop.rollback({ symbol: 'BTCUSDT' })),
    await failure(() => loop.train({ signal: AbortSignal.abort() })),
    await loop.close().then(() => failure(() => feedbackTracker.getStats())),
  ]
  const docs = read('docs/errors.md').replaceAll('\\', '')
  for (const { code, message } of errors) {
    expect(docs.split(`### \`${code}\``)[1]!.split('###')[0]).toContain(message)
  }
})
