import { appendFileSync, existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { HOUR, candles, random, storeCandles, type Row } from './helpers/candles'
import { ROOT, runNode } from './helpers/child'
import { NOWHERE, failure, newHome, newLoop } from './helpers/home'

const MARKET = { symbol: 'BTCUSDT', timeframe: '1h' } as const
const ONE = { symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false } as const

const ledger = (home: string) =>
  readFileSync(join(home, 'models', 'ledger.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

/** Hourly candles whose price swings so regularly that a forest learns it. */
function swinging(count: number, end: number): Row[] {
  const next = random(4)
  const price = (i: number) => 100 * (1 + 0.03 * Math.sin((2 * Math.PI * i) / 17) + 0.002 * (next() - 0.5))
  let close = price(-1)
  return Array.from({ length: count }, (_, i): Row => {
    const open = close
    close = price(i)
    return [end - (count - i) * HOUR, open, Math.max(open, close) * 1.001, Math.min(open, close) * 0.999, close, 100 + 10 * next()]
  })
}

test('each training is a version, served by all loops of the home, and can be rolled back', async () => {
  const home = newHome()
  storeCandles(home, candles(2000))
  const [loop, other] = [newLoop({ home }), newLoop({ home })]
  const first = (await loop.train(ONE)).results[0]!
  expect(first).toMatchObject({ success: true, promoted: true, trial: { version: 1, trial: 1, mode: 'full', decision: 'FIRST_MODEL' } })
  expect(first.reason).toBe(first.trial!.reason)
  expect((await other.predict(MARKET)).modelVersion).toBe(1)

  const second = (await loop.train(ONE)).results[0]!
  // The same candles again: what both held out is the same to the bit.
  expect(second).toMatchObject({ promoted: true, trial: { version: 2, trial: 2, champion: 1, decision: 'NOT_WORSE' } })
  expect(second.trial!.comparison).toMatchObject({ comparedOn: 'held_out', excess: { low: 0, mean: 0, high: 0 } })
  expect((await other.predict(MARKET)).modelVersion).toBe(2)

  const rollback = await other.rollback({ ...MARKET, reason: 'I liked the old one' })
  expect(rollback).toMatchObject({ ...MARKET, from: 2, to: 1, automatic: false, reason: 'I liked the old one' })
  expect((await loop.predict(MARKET)).modelVersion).toBe(1)
  const error = await failure(() => loop.rollback(MARKET))
  expect(error).toMatchObject({ code: 'ERR_NO_PREDECESSOR' })
  expect(readFileSync(join(ROOT, 'docs/errors.md'), 'utf8')).toContain(error.message)
  expect((await failure(() => loop.rollback({ symbol: 'ETHUSDT' }))).code).toBe('ERR_NO_MODEL')

  const [entry] = await loop.models()
  expect(entry).toMatchObject({ version: 1, predecessors: [], trials: [first.trial, second.trial], rollbacks: [rollback], damagedLines: 0 })
  expect(entry!.path).toBe(join(home, 'models', 'btcusdt_1h', 'v000001.model'))
  expect(entry!.reason).toContain('I liked the old one')
  expect(entry!.since).toBe(rollback.at)
  expect(entry!.ageHours).toBeGreaterThanOrEqual(0)
  expect(entry!.ageHours).toBeLessThan(0.1)
  expect(ledger(home).map((line) => [line.event, line.version ?? line.to])).toEqual([['training', 1], ['training', 2], ['rollback', 1]])

  appendFileSync(join(home, 'models', 'ledger.jsonl'), '{"event":"training","at_ms"\n')
  expect((await loop.models())[0]!.damagedLines).toBe(1)
})

test('a model worse than the one in service is trained, told, written down, and not put into service', async () => {
  const loop = newLoop()
  loop.configure({ trees: 20, signal: { stopAtr: 1, rewardRisk: 1.5, expiryBars: 8 } })
  const end = Math.floor(Date.now() / HOUR) * HOUR
  const real = swinging(1800, end)
  storeCandles(loop.home, real.slice(0, 1500))
  const champion = (await loop.train(ONE)).results[0]!
  expect(champion.model!.hasSkill).toBe(true)
  const asked = { ...MARKET, candles: real.slice(-300) }
  const before = await loop.predict(asked)

  // Someone fills the file with a history that never was; the newest candles are right.
  const last = real[1500]![1]
  const noise = candles(1500, { end: end - 300 * HOUR })
  const scale = last / noise.at(-1)![4]
  const fitted = noise.map(([time, o, h, l, c, volume]): Row => [time, o * scale, h * scale, l * scale, c * scale, volume])
  storeCandles(loop.home, [...fitted, ...real.slice(1500)])
  const results = await loop.train(ONE)
  expect(results).toMatchObject({ successful: 1, failed: 0 })
  const [refused] = results.results
  expect(refused).toMatchObject({ success: true, promoted: false, trial: { version: 2, promoted: false, champion: 1 } })
  expect(['WORSE_LOG_LOSS', 'MAYBE_WORSE', 'LESS_PROFIT']).toContain(refused!.trial!.decision)
  const { comparison } = refused!.trial!
  expect(comparison!.stretches).toBeGreaterThanOrEqual(8)
  expect(comparison!.excess!.mean).toBeGreaterThan(0)
  expect(comparison!.logLoss.challenger).toBeGreaterThan(comparison!.logLoss.champion)

  expect(await loop.predict(asked)).toEqual(before)
  const [entry] = await loop.models()
  expect(entry).toMatchObject({ version: 1, trials: [{ promoted: true }, { promoted: false, reason: refused!.reason }] })
  expect(existsSync(join(loop.home, 'models', 'btcusdt_1h', 'v000002.model'))).toBe(false)
  const written = JSON.parse(readFileSync(join(loop.home, 'models', 'training_results.json'), 'utf8'))
  expect(written.results).toMatchObject([{ success: true, promoted: false, reason: refused!.reason }])
})

describe('an incremental training', () => {
  const end = Math.floor(Date.now() / HOUR) * HOUR
  const rows = candles(1200, { end })

  test('continues the champion with what came since, and says when there is nothing new', async () => {
    const loop = newLoop()
    storeCandles(loop.home, rows.slice(0, 900))
    const [full] = (await loop.train(ONE)).results
    const [same] = (await loop.train({ ...ONE, mode: 'incremental' })).results
    expect(same).toMatchObject({ success: true, promoted: false, reason: expect.stringMatching(/^nothing new: only \d+ rows with a known label/) })
    expect(same).not.toHaveProperty('trial')
    expect(same!.model).toEqual(full!.model)

    storeCandles(loop.home, rows)
    const [more] = (await loop.train({ ...ONE, mode: 'incremental' })).results
    expect(more).toMatchObject({ success: true, promoted: true, trial: { mode: 'incremental', version: 2, champion: 1 } })
    expect(more!.trial).not.toHaveProperty('fallback')
    expect(Date.parse(more!.model!.horizon)).toBeGreaterThan(Date.parse(full!.model!.horizon))
    expect(more!.model!.rows).toBe(full!.model!.rows + 300 + full!.model!.unlabelled - more!.model!.unlabelled)
    expect(ledger(loop.home)).toHaveLength(2)
  })

  test('is one in full where there is nothing to continue, and says so', async () => {
    const loop = newLoop()
    storeCandles(loop.home, rows)
    const [first] = (await loop.train({ ...ONE, mode: 'incremental' })).results
    expect(first).toMatchObject({ promoted: true, trial: { mode: 'full', fallback: 'there is no model to continue' } })
    loop.configure({ signal: { rewardRisk: 3 } })
    const [other] = (await loop.train({ ...ONE, mode: 'incremental' })).results
    expect(other).toMatchObject({ promoted: true, trial: { mode: 'full', decision: 'OTHER_SIGNAL_SHAPE' } })
    expect(other!.trial!.fallback).toMatch(/^stop, target or expiry/)
  })
})

test('a signal says which model it is of, through the store and back', async () => {
  const loop = newLoop()
  storeCandles(loop.home, candles(700))
  await loop.train(ONE)
  const signal = await loop.generateSignal(MARKET)
  expect(signal.mlPrediction.modelVersion).toBe(1)
  await loop.feedbackTracker.recordSignal(signal)
  const line = JSON.parse(readFileSync(join(loop.home, 'feedback', 'signals.jsonl'), 'utf8').trim())
  expect(line.mlPrediction).toMatchObject({ modelVersion: 1, signal: signal.signalType, confidence: signal.mlPrediction.confidence })
})

test('the command line trains in steps, shows the history and rolls back', async () => {
  const home = newHome()
  storeCandles(home, candles(700))
  const signalloop = (...args: string[]) =>
    runNode([join(ROOT, 'bin', 'signalloop.js'), ...args], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE } })
  const one = ['--symbol', 'BTCUSDT', '--timeframe', '1h']
  await signalloop('train', '--no-fetch', ...one)
  const kept = await signalloop('train', '--no-fetch', '--mode', 'incremental', ...one)
  expect([kept.code, kept.stdout]).toEqual([0, expect.stringContaining('nothing new since it was trained')])
  await signalloop('train', '--no-fetch', ...one)
  const back = await signalloop('rollback', ...one, '--reason', 'a try', '--json')
  expect(JSON.parse(back.stdout)).toMatchObject({ from: 2, to: 1, reason: 'a try', automatic: false })
  const shown = await signalloop('models')
  expect(shown.stdout).toContain('version 1 in service: rolled back from version 2: a try')
  const none = await signalloop('rollback', ...one)
  expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('[ERR_NO_PREDECESSOR]')])
  expect(readdirSync(join(home, 'models', 'btcusdt_1h')).sort()).toEqual(['champion.json', 'v000001.model', 'v000002.model'])
})
