import { readFileSync } from 'node:fs'
import { join } from 'node:path'
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
    expect(section).toMatch(/\*\*When:\*\*[^]+\n> [^]+\*\*What to do:\*\*/)
  }
})

test('the codes of the type are those of the sources', () => {
  expect(unique(read('src/error.rs'))).toEqual(declared)
})

test('the example messages are the ones that come', async () => {
  const loop = newLoop()
  const { feedbackTracker } = loop
  const signal = { id: 's1', pair: 'BTCUSDT', signalType: 'BUY' as const, confidence: 1, entryPrice: 100, timestamp: Date.now() }
  await feedbackTracker.recordSignal(signal)
  const candles = Array.from({ length: 99 }, () => ({ open: 1, high: 1, low: 1, close: 1, volume: 1 }))
  const errors = [
    await failure(() => feedbackTracker.recordSignal({ ...signal, stopLoss: 101 })),
    await failure(() => feedbackTracker.recordSignal({ ...signal, entryPrice: 99 })),
    await failure(() => feedbackTracker.onPrice('BTCUSDT', NaN)),
    await failure(() => loop.configure({ trees: 3 })),
    await failure(() => loop.predict({ symbol: 'BTCUSDT', candles })),
    await failure(() => loop.predict({ symbol: 'ETHUSDT', candles: [...candles, candles[0]!] })),
    await failure(() => loop.train({ signal: AbortSignal.abort() })),
    await loop.close().then(() => failure(() => feedbackTracker.getStats())),
  ]
  const docs = read('docs/errors.md').replaceAll('\\', '')
  for (const { code, message } of errors) {
    expect(docs.split(`### \`${code}\``)[1]!.split('###')[0]).toContain(message)
  }
})
