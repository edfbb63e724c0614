import { SignalLoop, type Assessment, type Pattern, type SignalInput } from '..'
import { runNode } from './helpers/child'
import { newHome, newLoop, records } from './helpers/home'

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

test('a fee that the signal states counts in what it is expected to earn', async () => {
  const { feedbackTracker } = newLoop()
  const signal = { pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 98, takeProfit: 104 } as const
  const usual = await feedbackTracker.assess(signal)
  const dear = await feedbackTracker.assess({ ...signal, feeBps: 110 })
  // One percent more of the entry is half of the stop distance; wins of 2 R and losses of 1 R pay for it with a sixth.
  expect(usual.expectedR! - dear.expectedR!).toBeCloseTo(0.5, 9)
  expect(dear.threshold - usual.threshold).toBeCloseTo(0.5 / 3, 9)
})

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
  // Half of all win 2 R, half lose 1 R, and costs are a twentieth of the stop distance.
  expect(patterns[0]!.baseR).toBeCloseTo(0.45, 9)
  const { meanR, meanRInterval } = patterns[0]!
  expect([meanRInterval!.low <= meanR!, meanR! <= meanRInterval!.high, Math.abs(meanR! - 0.45) > 0.5]).toEqual([true, true, true])
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

/** Signals with their ends, one an hour and each closed within it, the last one an hour ago. */
function lives(count: number, more: (i: number) => object, won: (i: number) => boolean): SignalInput[] {
  const first = Date.now() - (count + 1) * HOUR
  return Array.from({ length: count }, (_, i) => ({
    ...levels,
    id: `s${i}`,
    confidence: 70,
    timestamp: first + i * HOUR,
    outcome: won(i) ? 'TOOK_PROFIT' : 'STOPPED_OUT',
    exitPrice: won(i) ? 104 : 98,
    closedAt: first + i * HOUR + HOUR / 2,
    ...more(i),
  }))
}

/** Records what {@link lives} gives. */
async function lived(loop: SignalLoop, ...of: Parameters<typeof lives>): Promise<void> {
  expect(await loop.feedbackTracker.recordSignals(lives(...of))).toBe(of[0])
}

test('a trailed stop counts as what it brought', async () => {
  const trailed = newLoop()
  // Of ten, six are stopped out at 3 % of profit, three at their stop, and one reaches its target.
  const won = (i: number): boolean => i % 10 === 9
  await lived(trailed, 120, (i) => ({ strategy: 'trail', ...(i % 10 < 6 ? { exitPrice: 103 } : {}) }), won)
  const said = await trailed.feedbackTracker.assess({ ...levels, strategy: 'trail' })
  expect(said.successProbability).toBeLessThan(0.2)
  expect(said.expectedR).toBeGreaterThan(0.3)
  expect(said.expectedR).toBeLessThan((0.6 * 3 + 0.1 * 4 - 0.3 * 2 - 0.1) / 2)
  expect(said.expectedRInterval!.low).toBeLessThan(said.expectedR!)
  expect(said.expectedRInterval!.high).toBeGreaterThan(said.expectedR!)
  expect(said).toMatchObject({ take: true, threshold: 0, reasons: expect.arrayContaining([expect.stringContaining('even failures earn something')]) })
  // What failures have earned is no surety: the next one may lose the whole stop.
  expect(said.suggestedRisk).toBeGreaterThan(0)
  expect(said.suggestedRisk).toBeLessThan(0.25 / 2)

  const plain = newLoop()
  await lived(plain, 120, () => ({ strategy: 'trail' }), won)
  const lost = await plain.feedbackTracker.assess({ ...levels, strategy: 'trail' })
  expect(lost.expectedR).toBeLessThan(-0.3)
  expect(lost).toMatchObject({ take: false, suggestedRisk: 0 })
})

test('a strategy and an indicator in words are told apart by how they fared', async () => {
  // Of five, four succeed and one; alike in everything else.
  const good = (i: number): boolean => i % 2 === 0
  const won = (i: number): boolean => (Math.floor(i / 2) % 5 === 0) !== good(i)
  const loop = newLoop()
  await lived(loop, 60, (i) => ({ strategy: good(i) ? 'good' : 'bad' }), won)
  const of = (strategy: string) => loop.feedbackTracker.assess({ ...levels, strategy })
  const [better, worse, other] = [await of('good'), await of('bad'), await of('new')]
  expect(better.successProbability - worse.successProbability).toBeGreaterThan(0.25)
  expect(better.baseRate - worse.baseRate).toBeGreaterThan(0.15)
  expect(other.successProbability).toBeLessThan(better.successProbability)
  expect(other.successProbability).toBeGreaterThan(worse.successProbability)

  const words = newLoop()
  await lived(words, 120, (i) => ({ indicators: { regime: good(i) ? 'bull' : 'bear' } }), won)
  const when = (regime: string) => words.feedbackTracker.assess({ ...levels, indicators: { regime, mood: 'calm' } })
  const [bull, bear] = [await when('bull'), await when('bear')]
  expect(bull.successProbability - bear.successProbability).toBeGreaterThan(0.2)
  expect(bull.unusedIndicators).toEqual(['mood'])
})

test('the risk suggested is nothing where nothing is known, and falls with what is under way', async () => {
  const loop = newLoop()
  const ask = (): Promise<Assessment> => loop.feedbackTracker.assess(levels)
  const far = await loop.feedbackTracker.assess({ ...levels, takeProfit: 400 })
  expect([(await ask()).suggestedRisk, far.suggestedRisk]).toEqual([0, 0])

  await lived(loop, 100, () => ({}), (i) => i % 5 !== 0)
  const alone = await ask()
  expect(alone).toMatchObject({ take: true, closed: 100 })
  expect(alone.suggestedRisk).toBeGreaterThan(0.01)
  expect(alone.suggestedRisk).toBeLessThanOrEqual(0.25)
  const under = (id: string, more: object) => loop.feedbackTracker.recordSignal({ ...levels, id, confidence: 70, timestamp: Date.now(), ...more })
  await under('sell', { signalType: 'SELL', stopLoss: 102, takeProfit: 96 })
  expect((await ask()).suggestedRisk).toBe(alone.suggestedRisk)
  await under('followed', { taken: false })
  expect((await ask()).suggestedRisk).toBe(alone.suggestedRisk)
  for (const [i, id] of ['a', 'b'].entries()) {
    await under(id, {})
    expect((await ask()).suggestedRisk).toBeCloseTo(alone.suggestedRisk / (1 + 0.7 * (i + 1)), 9)
  }
  loop.configure({ kellyFraction: 0 })
  expect((await ask()).suggestedRisk).toBe(0)
})

test('what each source of evidence says is told, and how sure it is', async () => {
  const loop = newLoop()
  const names = ['candles', 'baseRates', 'process', 'boosting', 'forest']
  const nothing = await loop.feedbackTracker.assess(levels)
  expect(nothing.evidence.map(({ source, says }) => [source, says])).toEqual(names.map((name) => [name, 0]))
  await lived(loop, 120, (i) => ({ indicators: { rsi: i % 3 === 0 ? 80 : 40 } }), (i) => i % 3 !== 0)
  const said = await loop.feedbackTracker.assess({ ...levels, indicators: { rsi: 80 } })
  expect(said.evidence.map(({ source }) => source)).toEqual(names)
  const of = (name: string) => said.evidence.find(({ source }) => source === name)
  expect(of('candles')).toMatchObject({ says: 0 })
  expect(said.prior).toBeUndefined()
  expect(of('baseRates')!.says).toBeGreaterThan(0.3)
  // The indicator speaks against it, however it is learned.
  for (const name of names.slice(2)) expect(of(name)!.says).toBeLessThan(-0.3)
  for (const { weight } of said.evidence) expect(weight).toBeGreaterThanOrEqual(0)
  // Step by step from even odds to what is stated: the log odds add up.
  const { contributions, successProbability: p } = said
  expect(contributions.slice(0, 6).map(({ source }) => source)).toEqual(['levels', ...names])
  const sum = contributions.reduce((all, { logOdds }) => all + logOdds, 0)
  expect(sum).toBeCloseTo(Math.log(p / (1 - p)), 9)
  expect(contributions.at(-1)!.probability).toBeCloseTo(p, 12)
  for (const { source, says, weight } of said.evidence) {
    expect(contributions.find((step) => step.source === source)!.logOdds).toBeCloseTo(says * weight, 12)
  }
  // What is stored with a signal says the same.
  const given = { ...levels, confidence: 60, indicators: { rsi: 80 } }
  const again = await loop.feedbackTracker.assess(given)
  await loop.feedbackTracker.recordSignal({ ...given, id: 'said', timestamp: Date.now() })
  const stored = records(loop.home).get('said')!.said as { probability: number; contributions: number[] }
  expect(stored.probability).toBeCloseTo(again.successProbability, 5)
  for (const [at, added] of stored.contributions.entries()) expect(added).toBeCloseTo(again.contributions[at]!.logOdds, 5)
  const { low, high } = said.probabilityInterval
  // No probability below 0.02 is told.
  expect(low).toBeLessThanOrEqual(said.successProbability)
  expect(high).toBeGreaterThan(said.successProbability)
  // An outcome is worth what it brings: as surely as is asked for.
  loop.configure({ takeConfidence: 0.99 })
  expect((await loop.feedbackTracker.assess({ ...levels, indicators: { rsi: 80 } })).take).toBe(false)
})

test('a signal of the past knows nothing of what came later', async () => {
  // All of the first half fail, all of the second succeed.
  const signals = lives(80, () => ({}), (i) => i >= 40)
  const then = Number(signals[39]?.timestamp)
  const [all, half] = [newLoop(), newLoop()]
  await all.feedbackTracker.recordSignals(signals)
  await half.feedbackTracker.recordSignals(signals.slice(0, 40))
  const now = await all.feedbackTracker.assess(levels)
  const past = await all.feedbackTracker.assess({ ...levels, timestamp: then })
  expect([now.closed, past.closed]).toEqual([80, 40])
  expect(now.successProbability).toBeGreaterThan(0.3)
  expect(past.successProbability).toBeLessThan(0.15)
  expect(past).toEqual(await half.feedbackTracker.assess({ ...levels, timestamp: then }))
})

test('what was said of a signal when it was recorded is kept and judged by what came', async () => {
  const loop = newLoop()
  const { feedbackTracker } = loop
  const record = (id: string, more: object = {}) => feedbackTracker.recordSignal({ ...levels, id, confidence: 70, timestamp: Date.now(), ...more })
  await record('unknown')
  await lived(loop, 60, () => ({}), (i) => i % 2 === 0)
  const said = await feedbackTracker.assess({ ...levels, confidence: 70 })
  await record('won')
  await record('lost', { entryPrice: 101, stopLoss: 99 })
  // One of the past may have been learned from already.
  await record('old', { timestamp: Date.now() - 30 * HOUR, expiresAt: Date.now() + HOUR })
  expect((await feedbackTracker.scorecard()).overall).toBeUndefined()
  expect(await feedbackTracker.onPrice('BTCUSDT', 104)).toHaveLength(4)
  const { overall } = await feedbackTracker.scorecard()
  expect(overall).toMatchObject({ signals: 2, successShare: 1 })
  const { probability, take, outcomes, expected_r } = records(loop.home).get('won')!.said as Record<string, number>
  expect(probability).toBeCloseTo(said.successProbability, 5)
  expect(expected_r).toBeCloseTo(said.expectedR!, 5)
  expect([take, outcomes]).toEqual([said.take, 60])
  expect(records(loop.home).get('unknown')?.said).toBeUndefined()
  expect(records(loop.home).get('old')?.said).toBeUndefined()
})
