// Plays years of real candles as in a backend: each signal is assessed before it is recorded, candles close it, and
// models are trained on the candles stored by then.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SignalLoop } from '../../index.js'
import { HOUR, store } from './candles.mjs'
import { indicatorsAt, seriesOf } from './series.mjs'
import { STRATEGIES } from './strategies.mjs'

export const [STOP_ATR, REWARD_RISK, EXPIRY_HOURS] = [1.5, 2, 48]
const DAY = 24 * HOUR
/** Candles that a symbol needs before its first signal: the longest indicator has settled. */
const WARM_UP = 250
/** Candles kept in the file between two trainings: more than the features of the newest one ask for. */
const RECENT = 450
const SUCCESSES = new Set(['TOOK_PROFIT', 'SUCCESS'])

/** A signal of a strategy at candle `i`, as the backend records it. */
function given({ symbol, candles, series }, i, strategy, direction, id) {
  const [openMs, , , , entryPrice] = candles[i]
  const [timestamp, stop] = [openMs + HOUR, STOP_ATR * series.atr[i]]
  return {
    id, pair: symbol, timeframe: '1h', strategy, signalType: direction > 0 ? 'BUY' : 'SELL', confidence: 60, entryPrice,
    stopLoss: entryPrice - direction * stop, takeProfit: entryPrice + direction * REWARD_RISK * stop,
    timestamp, expiresAt: timestamp + EXPIRY_HOURS * HOUR, indicators: indicatorsAt(series, i, openMs),
  }
}

function row(signal, said) {
  const direction = signal.signalType === 'BUY' ? 1 : -1
  const stopPercent = (100 * Math.abs(signal.entryPrice - signal.stopLoss)) / signal.entryPrice
  return {
    id: signal.id, symbol: signal.pair, strategy: signal.strategy, t: signal.timestamp, direction, stopPercent, rewardRisk: REWARD_RISK,
    indicators: signal.indicators, p: said.successProbability, take: said.take, expectedR: said.expectedR, baseRate: said.baseRate,
  }
}

/**
 * The rows of all signals that closed, in the order given, with their prediction and outcome; and
 * the seconds that signals and trainings took. `markets`: candles by symbol; `candles: false`: the home has none.
 */
export async function play({ home, markets, from, until, refitDays, strategies, candles = true, news = () => {} }) {
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: [...markets.keys()], timeframes: ['1h'] }))
  const loop = new SignalLoop({ home })
  loop.configure({ durability: 'os' })
  const tracker = loop.feedbackTracker
  const known = [...markets].map(([symbol, candles]) => ({
    symbol, candles, series: seriesOf(candles), at: new Map(candles.map(([openMs], i) => [openMs, i])),
  }))
  const [rows, open] = [[], new Map()]
  const seconds = { signals: 0, trainings: 0 }
  const timed = async (what, act) => {
    const begin = performance.now()
    try {
      return await act()
    } finally {
      seconds[what] += (performance.now() - begin) / 1000
    }
  }

  async function train(now) {
    for (const { symbol, candles } of known) {
      const past = candles.filter(([openMs]) => openMs + HOUR <= now)
      if (past.length > 0) store(home, symbol, past)
    }
    const { results } = await timed('trainings', () => loop.train({ fetch: false }))
    const failed = results.filter(({ error }) => error)
    news(`${new Date(now).toISOString().slice(0, 10)}: ${results.filter(({ promoted }) => promoted).length} of ${results.length} models promoted, ${rows.length} signals so far` +
      (failed.length > 0 ? `; ${failed.map(({ symbol, error }) => `${symbol}: ${error.message}`).join('; ')}` : ''))
  }

  /** Processes a closed candle: first the signals it closes, then the new signals of the strategies. */
  async function closed(market, i) {
    for (const end of await timed('signals', () => tracker.onCandle(market.symbol, market.candles[i], '1h'))) {
      const of = open.get(end.id)
      open.delete(end.id)
      if (end.outcome === 'UNKNOWN') continue
      Object.assign(of, { closed: Date.parse(end.closedAt), success: Number(SUCCESSES.has(end.outcome)), profitPercent: end.profitLossPercent })
    }
    if (i < WARM_UP) return
    const said = strategies.map((name) => [name, STRATEGIES[name](market.series, i, i - 1)]).filter(([, direction]) => direction !== 0)
    if (said.length === 0) return
    if (candles) store(home, market.symbol, market.candles.slice(Math.max(0, i + 1 - RECENT), i + 1))
    for (const [name, direction] of said) {
      const signal = given(market, i, name, direction, `${market.symbol}-${name}-${market.candles[i][0]}`)
      if (Math.min(signal.stopLoss, signal.takeProfit) <= 0) continue
      const answer = await timed('signals', () => tracker.assess(signal))
      await timed('signals', () => tracker.recordSignal(signal))
      rows.push(row(signal, answer))
      open.set(signal.id, rows.at(-1))
    }
  }

  let due = from
  for (let openMs = from; openMs < until; openMs += HOUR) {
    if (candles && openMs >= due) {
      await train(openMs)
      due += refitDays * DAY
    }
    for (const market of known) {
      const i = market.at.get(openMs)
      if (i !== undefined) await closed(market, i)
    }
  }
  await loop.close()
  return { rows: rows.filter(({ closed }) => closed !== undefined), seconds }
}
