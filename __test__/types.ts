// Checked by tsc only: code that must compile in a TypeScript backend, and code that must not.
import {
  FeedbackTracker,
  MLPredictor,
  SignalLoop,
  configure,
  dashboard,
  evaluate,
  feedbackTracker,
  generateSignal,
  mlPredictor,
  onEvent,
  predict,
  replay,
  report,
  train,
} from 'signalloop'
import type * as signalloop from 'signalloop'
import { createServer } from 'node:http'
import express from 'express'
import fastify from 'fastify'

/** Whether `any` can be reached from `T` by its members, results and arguments, to a depth that covers ours. */
type HasAny<T, Depth extends unknown[] = []> = Depth['length'] extends 8
  ? false
  : 0 extends 1 & T
    ? true
    : T extends (...args: infer Args) => infer Result
      ? HasAny<Args, [...Depth, 0]> | HasAny<Result, [...Depth, 0]>
      : T extends Date | AbortSignal | Float64Array | Float32Array | Uint8Array | ReadonlyMap<string, unknown> | string | number | boolean | null | undefined
        ? false
        : T extends readonly (infer Item)[]
          ? HasAny<Item, [...Depth, 0]>
          : T extends Promise<infer Value>
            ? HasAny<Value, [...Depth, 0]>
            : T extends object
              ? { [Key in keyof T]-?: HasAny<T[Key], [...Depth, 0]> }[keyof T]
              : false
type IsFalse<T extends false> = T

export type NoAny = [
  IsFalse<HasAny<signalloop.FeedbackTracker>>,
  IsFalse<HasAny<signalloop.MLPredictor>>,
  IsFalse<HasAny<signalloop.SignalLoop>>,
  IsFalse<HasAny<signalloop.LoopOptions>>,
  IsFalse<HasAny<signalloop.LoopEvent>>,
  IsFalse<HasAny<signalloop.StoredSignal>>,
  IsFalse<HasAny<signalloop.TrainOptions>>,
  IsFalse<HasAny<signalloop.TrainingResults>>,
  IsFalse<HasAny<signalloop.Signal>>,
  IsFalse<HasAny<signalloop.ReplayOptions>>,
  IsFalse<HasAny<signalloop.ReplayResult>>,
  // @ts-expect-error the check itself finds an any
  IsFalse<HasAny<{ deep: { down: () => Promise<{ value: any }[]> } }>>,
]

/** As a backend declares it: an interface, with fields of its own. */
interface BackendSignal {
  id: string
  pair: string
  signalType: 'BUY' | 'SELL' | 'HOLD'
  confidence: number
  entryPrice: number
  stopLoss?: number
  takeProfit?: number
  timestamp: Date
  timeframe: signalloop.Timeframe
  indicators: BackendIndicators
  aiRationale: string
}

interface BackendIndicators {
  rsi: number
  macd?: { histogram: number }
}

export async function right(signal: BackendSignal): Promise<void> {
  const recorded: boolean = await feedbackTracker.recordSignal(signal)
  await feedbackTracker.recordSignals([signal] as readonly BackendSignal[])
  await feedbackTracker.recordSignal({ ...signal, strategy: 'breakout' })
  await feedbackTracker.recordSignal({ id: 'a', pair: 'BTCUSDT', signalType: 'HOLD', confidence: 1, timestamp: 1, note: 'more' })
  await feedbackTracker.recordSignal({ id: 'a', symbol: 'X', signal_type: 'BUY', entry_price: 1, confidence: 1, timestamp: '2025-01-01' })
  await feedbackTracker.recordSignal({ ...signal, outcome: 'STOPPED_OUT', exitPrice: 98, closedAt: new Date() })
  await feedbackTracker.recordSignal({ ...signal, outcome: null, exitPrice: undefined, closed_at: null })
  // A backend's own word for it is text, which is checked when it is recorded.
  await feedbackTracker.recordSignals([{ ...signal, outcome: signal.pair }])
  // @ts-expect-error a price as text
  await feedbackTracker.recordSignal({ ...signal, outcome: 'SUCCESS', exitPrice: '104' })
  // @ts-expect-error a time that is none
  await feedbackTracker.updateOutcome({ signalId: 'a', outcome: 'SUCCESS', exitPrice: 104, closedAt: true })
  await feedbackTracker.updateOutcome({ signalId: 'a', outcome: 'SUCCESS', exitPrice: 104, closedAt: '2024-03-04T09:30Z' })
  const { shouldClose, outcome, profitLoss } = feedbackTracker.shouldCloseSignal(signal, 104)
  const parts: [boolean, signalloop.Outcome, number] = [shouldClose, outcome, profitLoss]
  const updated: boolean = await feedbackTracker.updateOutcome({ signalId: 'a', outcome: 'TOOK_PROFIT', exitPrice: 104 })
  const closed: signalloop.ClosedSignal[] = await feedbackTracker.onPrice(signal.pair, 104, new Date())
  await feedbackTracker.onCandle('BTCUSDT', [1, 2, 3, 4, 5, 6], '4h')
  const totals: signalloop.PerformanceTotals = await feedbackTracker.getPerformanceStats('BTCUSDT', '4h', 7)
  const printed: number[] = [totals.total_signals, totals.closed_signals, totals.successful, totals.failed, totals.success_rate, totals.avg_profit_loss, totals.total_return]
  void printed
  // Entries that wait, several targets, moving stops.
  const { takeProfit: _, ...others } = signal
  const targets = [{ price: 101, share: 50 }, { price: 107 }]
  await feedbackTracker.recordSignal({ ...others, takeProfits: targets })
  await feedbackTracker.recordSignal({
    id: 'a', pair: 'X', signalType: 'BUY', confidence: 1, timestamp: 1, entryZone: { low: 94, high: 96 }, entryExpiresAt: new Date(), takeProfits: targets,
    stopRules: { breakEvenAfterTarget: 1, trail: { percent: 2, activateAtR: 1 }, moveTo: [{ afterTarget: 2, price: 101 }] },
    leverage: 10, feeBps: 4, fundingBpsPerDay: 3, quantity: 0.5, source: 'channel', tags: ['btc'] as const,
  })
  await feedbackTracker.recordSignal({
    id: 'a', pair: 'X', signal_type: 'SELL', confidence: 1, timestamp: 1, entry_type: 'limit', entry_price: 1, take_profits: targets,
    stop_rules: { break_even_after_target: 1, trail: { distance: 2, activate_at_r: 1 }, move_to: [{ after_target: 1, price: 1 }] }, fee_bps: 4,
  })
  await feedbackTracker.assess({ ...others, entryType: 'stop', takeProfits: targets })
  await feedbackTracker.amendSignal({ signalId: 'a', stopLoss: 98, takeProfits: targets, expiresAt: 1, reason: 'news' })
  await feedbackTracker.cancelSignal({ signalId: 'a', at: new Date(), replacedBy: 'b' })
  await feedbackTracker.updateOutcome({ signalId: 'a', share: 40, exitPrice: 101 })
  await feedbackTracker.updateOutcome({ signalId: 'a', share: 40, profitLossPercent: 1, outcome: 'SUCCESS' })
  const stored: signalloop.StoredSignal | null = await feedbackTracker.getSignal('a')
  use(stored?.position?.takeProfits[0]?.share, stored?.closed?.realizedR, stored?.closed?.fills[0]?.price)
  for (const event of stored?.history ?? []) {
    if (event.type === 'target') use(event.number + event.share)
    // @ts-expect-error only a cancelled signal has such a cause
    if (event.type === 'exit') use(event.cause === 'ENTRY_EXPIRED')
  }
  if (stored) use(feedbackTracker.shouldCloseSignal(stored.signal, 1).unknown?.includes('entry'))
  // @ts-expect-error one target beside many
  await feedbackTracker.recordSignal({ ...others, takeProfit: 101, takeProfits: targets })
  // @ts-expect-error one target beside many, in the other spelling
  feedbackTracker.shouldCloseSignal({ signal_type: 'BUY', entry_price: 1, take_profit: 2, take_profits: targets }, 1)
  // @ts-expect-error no such entry
  await feedbackTracker.recordSignal({ ...others, entryType: 'iceberg' })
  // @ts-expect-error a trail is of one kind
  await feedbackTracker.recordSignal({ ...others, stopRules: { trail: { percent: 1, distance: 2 } } })
  // @ts-expect-error a trail of no kind
  await feedbackTracker.recordSignal({ ...others, stopRules: { trail: { activateAtR: 1 } } })
  await feedbackTracker.recordSignal({
    ...others,
    // @ts-expect-error a misspelt rule
    stopRules: { breakEven: 1 },
  })
  // @ts-expect-error a target has a price
  await feedbackTracker.recordSignal({ ...others, takeProfits: [101] })
  // @ts-expect-error nothing to change
  await feedbackTracker.amendSignal({ signalId: 'a', reason: 'news' })
  // @ts-expect-error the entry cannot be amended
  await feedbackTracker.amendSignal({ signalId: 'a', entryPrice: 1 })
  // @ts-expect-error neither outcome nor share
  await feedbackTracker.updateOutcome({ signalId: 'a', exitPrice: 101 })
  // @ts-expect-error a part is not unknown
  await feedbackTracker.updateOutcome({ signalId: 'a', share: 10, outcome: 'UNKNOWN' })
  configure({ leverage: 5, fundingBpsPerDay: 3 })

  const stats: signalloop.PerformanceStats = await feedbackTracker.getStats('BTCUSDT', closed[0]?.timeframe, 7)
  const rate: number | undefined = stats.bySymbol.BTCUSDT?.successRate
  use(stats.byStrategy.breakout?.expectancy, stats.followed.closedSignals)
  const ratio: number | undefined = stats.bySignalType.BUY?.sharpeRatio
  use(ratio, stats.byMonth['2026-03']?.totalR, stats.overall.sharpeInterval?.low, stats.holdingTimes.wins?.medianMs, stats.exposure?.averageOpen)
  // @ts-expect-error there may be no such signals
  use(stats.bySignalType.SELL.sqn)
  await feedbackTracker.recordSignal({ ...signal, strategy: null, taken: false })
  // @ts-expect-error a text for true or false
  await feedbackTracker.recordSignal({ ...signal, taken: 'no' })
  const said: signalloop.Assessment = await feedbackTracker.assess({ ...signal, strategy: 'breakout', taken: false })
  const { expectedR, probabilityInterval: { low, high }, suggestedRisk, prior }: signalloop.Assessment = said
  const served: 'all' | 'baseRate' = said.served
  const known: number = (expectedR ?? 0) + (said.expectedRInterval?.low ?? 0) + (prior ?? 0) + suggestedRisk + low + high
  use(served, known, said.evidence.map(({ source, says, weight }: signalloop.SourceOfEvidence) => `${source} ${says * weight}`))
  await feedbackTracker.assess({ pair: 'BTCUSDT', signalType: 'BUY', strategy: null, taken: null })
  // @ts-expect-error a strategy is text
  await feedbackTracker.assess({ ...signal, strategy: 7 })
  // @ts-expect-error without a stop loss nothing is known of it
  use(said.expectedR + 1)
  const card: signalloop.Scorecard = await feedbackTracker.scorecard({ since: new Date(0), strategy: 'breakout', symbol: 'BTC/USDT' })
  use(card.verdict, card.finding === 'adds', card.overall?.realisedR?.gain?.interval?.low, card.byMonth[0]?.score.logLoss.againstBaseRate.mean)
  // @ts-expect-error no such finding
  use(card.finding === 'wins')

  const advice: signalloop.LevelsAdvice = await feedbackTracker.advise({ since: new Date(0), strategy: 'breakout', symbol: 'BTC/USDT', timeframe: '1h' })
  const tried: number[] = advice.strategies.flatMap(({ alternatives }) => alternatives.map(({ meanR, differenceR }) => meanR - differenceR))
  use(advice.verdict, advice.finding === 'better', advice.strategies[0]?.best?.interval?.low, advice.strategies[0]?.excursions?.winnersMaeR?.p90, tried)
  // @ts-expect-error no such timeframe
  await feedbackTracker.advise({ timeframe: '7h' })

  // An event is known by its type.
  const off: () => void = onEvent((event) => {
    if (event.type === 'signalClosed') use(event.signal.profitLossPercent)
    else if (event.type === 'signalChanged') use(event.signal.status === 'PENDING', event.events[0]?.at)
    else if (event.type === 'drift' && event.scope === 'entries') use(event.quantities[0]?.pValue, event.dropped)
    // @ts-expect-error a warning has a message and no markets
    else if (event.type === 'warning') use(event.markets)
  })
  off()
  const { verdict, recent } = await evaluate({ symbol: 'BTCUSDT' })
  use(verdict === 'improved', recent.breakEvenRate)
  configure({ poorPerformance: { rule: 'expectancy', cooldownHours: 12 } })
  // @ts-expect-error no such rule
  configure({ poorPerformance: { rule: 'luck' } })

  const made = await generateSignal({ symbol: 'BTCUSDT', riskTolerance: 'low' })
  await feedbackTracker.recordSignal(made)
  feedbackTracker.shouldCloseSignal(made, made.entryPrice)
  const prediction: signalloop.Prediction = await predict({ symbol: 'BTCUSDT', candles: [{ open: 1, high: 1, low: 1, close: 1, volume: 1 }] })
  await train({ timeframes: [prediction.timeframe], symbols: ['BTCUSDT'] as const, signal: AbortSignal.timeout(1000) })
  const result = await train({ onProgress: ({ phase }) => void (phase satisfies 'fetch' | 'train' | 'done' | 'failed') })
  const loss: number | undefined = result.results[0]?.model?.logLoss
  const available: boolean = mlPredictor.isModelAvailable()
  const other = new MLPredictor('ETH/USDT', '4h')
  const buy: number = (await other.predict([])).mlPrediction.probabilities.BUY
  configure({ trees: 10, signal: { rewardRisk: 3 } })

  const written: signalloop.ReportResult = await report({ out: 'x.html' })
  use(written.path, written.problems[0])
  createServer(dashboard())
  express().use('/learning', dashboard({ allowedHosts: ['ops.example.com'] as const }))
  // @ts-expect-error a list of names
  dashboard({ allowedHosts: 'ops.example.com' })
  const view = dashboard()
  fastify().get('/learning', (request, reply) => view(request.raw, reply.hijack().raw))
  // @ts-expect-error a misspelt option
  await report({ file: 'x.html' })

  const loop = new SignalLoop({ fetchCandles: async ({ since }) => [[since, 1, 1, 1, 1, 1]] })
  const tracker: FeedbackTracker = loop.feedbackTracker
  const same: signalloop.FeedbackTracker = new FeedbackTracker()
  const predictor: MLPredictor = loop.predictor('BTCUSDT')
  const code: signalloop.ErrorCode = 'ERR_NO_MODEL'
  use(recorded, parts, updated, rate, loss, available, buy, tracker, same, predictor, code)
}

export async function wrong(signal: BackendSignal, loop: SignalLoop): Promise<void> {
  // @ts-expect-error no such outcome
  await feedbackTracker.updateOutcome({ signalId: 'a', outcome: 'WON' })
  // @ts-expect-error ACTIVE is no end
  await feedbackTracker.updateOutcome({ signalId: 'a', outcome: 'ACTIVE' })
  // @ts-expect-error a misspelt option
  await feedbackTracker.updateOutcome({ signalId: 'a', outcome: 'SUCCESS', exitprice: 5 })
  // @ts-expect-error no such type of signal
  await feedbackTracker.recordSignal({ ...signal, signalType: 'LONG' })
  // @ts-expect-error no confidence
  await feedbackTracker.recordSignal({ id: 'a', pair: 'BTCUSDT', signalType: 'BUY', entryPrice: 1, timestamp: 1 })
  // @ts-expect-error a price as text
  feedbackTracker.shouldCloseSignal(signal, '104')
  // @ts-expect-error neither spelling of the type
  feedbackTracker.shouldCloseSignal({ entryPrice: 100 }, 104)
  // @ts-expect-error a timeframe is text
  await feedbackTracker.getStats('BTCUSDT', 7)
  // @ts-expect-error no such timeframe
  await generateSignal({ symbol: 'BTCUSDT', timeframe: '7h' })
  // @ts-expect-error a candle has six numbers
  await feedbackTracker.onCandle('BTCUSDT', [1, 2, 3])
  // @ts-expect-error a misspelt option
  await train({ symbol: 'BTCUSDT' })
  // @ts-expect-error no such mode
  await train({ mode: 'some' })
  // @ts-expect-error a symbol is needed
  await predict({})
  // @ts-expect-error no such risk
  await generateSignal({ symbol: 'BTCUSDT', riskTolerance: 'wild' })
  // @ts-expect-error no such key
  configure({ tres: 10 })
  // @ts-expect-error candles in a shape of their own
  new SignalLoop({ fetchCandles: async () => [{ price: 5 }] })
  new SignalLoop({ exchange: 'okx', watchTimeframe: '1m', fetchPrices: (symbols) => new Map(symbols.map((symbol) => [symbol, 1])) })
  // @ts-expect-error no such exchange
  new SignalLoop({ exchange: 'bitfinex' })
  // @ts-expect-error a price is a number
  new SignalLoop({ fetchPrices: async () => ({ BTCUSDT: '1' }) })
  // @ts-expect-error the home is not to be changed
  loop.home = 'elsewhere'
  // @ts-expect-error a prediction may have no reason
  const reason: string = (await predict({ symbol: 'BTCUSDT' })).reason
  use(reason)
}

/** A strategy with a type of its own. */
const crossing: signalloop.Strategy = (market, candles) => {
  const last = candles.at(-1)
  if (candles.length < 50 || last.close <= candles.high[candles.length - 2]!) return
  return { signalType: 'BUY', entryPrice: last.close, stopLoss: last.low, takeProfit: last.close * 1.02, strategy: `break of ${market.symbol}` }
}

export async function replays(signal: BackendSignal): Promise<void> {
  await replay()
  await replay({ signals: 'trades.jsonl', from: '2024-01-01', until: new Date(), without: ['gate'], compare: ['models', 'outcomes'] as const })
  await replay({ signals: [{ ...signal, outcome: 'SUCCESS', exitPrice: 104, closedAt: 1 }], strategy: undefined, own: false })
  await replay({ strategy: crossing, onFault: 'continue', timeLimitMs: 500, candles: 'past', configuration: { feeBps: 4 }, scheduler: { retrain: { interval: '7d' } } })
  await replay({ own: 'low', symbols: ['BTCUSDT'] as const, timeframes: ['1h'], threads: 2, keep: 'kept', csv: 'all.csv', report: 'replay.html' })
  // Without a type of its own, its arguments are known.
  await replay({ strategy: ({ timeframe }, { close, time }) => {
    use(timeframe satisfies signalloop.Timeframe, close.subarray(-5), time[0])
    return undefined
  } })
  await replay({ strategy: async () => [{ signal_type: 'SELL', entry_price: 1, stop_loss: 2, id: 'mine', confidence: 70, indicators: { rsi: 70 } }] })
  await replay({ strategy: () => null, signal: AbortSignal.timeout(1000), onProgress: ({ at, run, without }) => use(at.length, run, without === 'models') })
  const { verdict, summary, parts, looks, happened, faults, markets, kept } = await replay()
  use(verdict.advice.finding === 'helped', verdict.looks?.words, summary.taken.meanRInterval?.low, summary.oracle?.judged, summary.all.byMonth[0]?.maxDrawdownR)
  use(summary.scorecard.overall?.logLoss.againstBaseRate.mean, parts[0]?.difference.r?.interval?.high, parts[0]?.without === 'gate', kept?.length)
  use(happened.notes[0]?.market?.symbol, faults.first[0]?.problem, markets[0]?.timeframe)
  // A figure that may be missing is there where it gives no reason.
  if (looks.deflatedSharpe.reason === undefined) use(looks.deflatedSharpe.probability - 0.95)
  else if (looks.deflatedSharpe.reason !== 'noSpread') use(looks.deflatedSharpe.need - looks.deflatedSharpe.have)

  // @ts-expect-error a strategy beside signals
  await replay({ signals: 'trades.jsonl', strategy: crossing })
  // @ts-expect-error own signals beside a strategy
  await replay({ own: true, strategy: crossing })
  // @ts-expect-error a misspelt option
  await replay({ strategies: crossing })
  // @ts-expect-error no such part
  await replay({ compare: ['learning'] })
  // @ts-expect-error no such risk
  await replay({ own: 'wild' })
  // @ts-expect-error a text is no signal
  await replay({ strategy: () => 'BUY' })
  // @ts-expect-error a price as text
  await replay({ strategy: () => ({ signalType: 'BUY', entryPrice: '1' }) })
  // @ts-expect-error no such type of signal
  await replay({ strategy: () => ({ signalType: 'LONG', entryPrice: 1 }) })
  // @ts-expect-error candles have no such field
  await replay({ strategy: (_market, { closes }) => use(closes) })
  // @ts-expect-error no such finding
  use(verdict.advice.finding === 'earn')
  // @ts-expect-error an interval may be missing
  use(summary.taken.sharpeInterval.low)
  // @ts-expect-error a figure may be missing
  use(looks.overfitting.probability)
}

/** A signal of a backend that knows nothing of signalloop: any text as timeframe. */
interface OrdinarySignal extends Omit<BackendSignal, 'timeframe'> {
  timeframe: string
}

declare function getCurrentPrice(pair: string): Promise<number>

/** What closing looks like in a backend: without a cast, and only where it closes. */
export async function closes(signal: OrdinarySignal, timeframe: string): Promise<void> {
  await feedbackTracker.recordSignal(signal)
  await feedbackTracker.recordSignals([signal])
  await feedbackTracker.getStats(signal.pair, timeframe)
  use(await new MLPredictor(signal.pair, signal.timeframe).predict([]))
  const currentPrice = await getCurrentPrice(signal.pair);
  const result = feedbackTracker.shouldCloseSignal(signal, currentPrice);

  if (result.shouldClose) {
    await feedbackTracker.updateOutcome({
      signalId: signal.id,
      outcome: result.outcome,
      exitPrice: currentPrice,
      profitLossPercent: result.profitLoss
    });
  }
  const still: 'ACTIVE' | undefined = result.shouldClose ? undefined : result.outcome
  // @ts-expect-error while it is open it has no end
  await feedbackTracker.updateOutcome({ signalId: signal.id, outcome: result.outcome })
  await feedbackTracker.updateOutcome({ signalId: signal.id, outcome: 'UNKNOWN' })
  // A mistake is told where it is.
  await feedbackTracker.recordSignal({
    ...signal,
    // @ts-expect-error a price as text
    entryPrice: '104',
  })
  await feedbackTracker.recordSignal({
    id: 'a', pair: 'BTCUSDT', entryPrice: 1, confidence: 1, timestamp: 1,
    // @ts-expect-error no such type of signal
    signalType: 'LONG',
  })
  feedbackTracker.shouldCloseSignal({
    signalType: 'BUY',
    // @ts-expect-error a price as text
    stopLoss: '98',
  }, 104)
  await feedbackTracker.recordSignal({
    id: 'a', pair: 'BTCUSDT', signal_type: 'BUY', confidence: 1, timestamp: 1,
    // @ts-expect-error a price as text
    entry_price: '104',
  })
  use(still)
}

/** Uses its arguments, as far as tsc is concerned. */
declare function use(...values: unknown[]): void
