// backtest-kit: one position a symbol, with stop, target and expiry; of several signals of a candle, the first one is taken.
//
// It wants candles of a minute: the first minute of an hour has the whole hour's candle, the others stay at its close.
//
//     node backtest_kit.mjs FOLDER_WITH_THE_PACKAGE FOLDER_OF_CANDLES
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { usage } from '../shared/children.mjs'
import { candlesOf } from '../signals/candles.mjs'
import { EXPIRY_HOURS, HOUR, Rules, STOP_ATR, TARGET_ATR } from './rules.mjs'

const [packages, folder] = process.argv.slice(2)
const kit = createRequire(join(packages, 'package.json'))('backtest-kit')
const MINUTE = 60_000
const LENGTHS = { '1m': MINUTE, '1h': HOUR }
const [exchangeName, strategyName] = ['candles', 'textbook']

const markets = candlesOf(folder)
let [given, handled] = [0, 0]
/** What the rules say, by symbol and time of the close, computed before. */
const said = new Map()
for (const [symbol, candles] of markets) {
  const rules = new Rules()
  const of = new Map()
  for (const [openMs, , high, low, close] of candles) {
    const signals = rules.add(high, low, close)
    given += signals.length
    if (signals.length > 0) of.set(openMs + HOUR, { side: signals[0][1], close, atr: rules.atr })
  }
  said.set(symbol, of)
}

/** Candles of an hour by symbol, without holes: an hour that lacks its candle stays at the last close. */
const hours = new Map()
for (const [symbol, candles] of markets) {
  const known = new Map(candles.map((candle) => [candle[0], candle]))
  const filled = []
  for (let openMs = candles[0][0]; openMs <= candles.at(-1)[0]; openMs += HOUR) {
    const last = filled.at(-1)?.[4]
    filled.push(known.get(openMs) ?? [openMs, last, last, last, last, 0])
  }
  hours.set(symbol, filled)
}

/** The candle of an interval that opens then. */
function candle(candles, interval, timestamp) {
  const hour = candles[Math.floor((timestamp - candles[0][0]) / HOUR)]
  if (!hour) return
  const [openMs, open, high, low, close, volume] = hour
  if (interval === '1h') return { timestamp, open, high, low, close, volume }
  const first = timestamp === openMs
  return { timestamp, open: first ? open : close, high: first ? high : close, low: first ? low : close, close, volume: volume / 60 }
}

// Nothing is written to disk: a file for each candle of a minute would take longer than the test itself.
for (const [name, adapter] of Object.entries(kit)) if (/^Persist\w+Adapter$/.test(name)) adapter.useDummy()
kit.setConfig({
  CC_MAX_SIGNAL_LIFETIME_MINUTES: 60 * EXPIRY_HOURS,
  // No signal is refused because its levels are near or far.
  CC_MIN_TAKEPROFIT_DISTANCE_PERCENT: 0.0001,
  CC_MIN_STOPLOSS_DISTANCE_PERCENT: 0.0001,
  CC_MAX_STOPLOSS_DISTANCE_PERCENT: 99,
  CC_PERCENT_SLIPPAGE: 0,
  CC_PERCENT_FEE: 0.05,
}, true)
kit.addExchangeSchema({
  exchangeName,
  getCandles: async (symbol, interval, since, limit) => {
    const candles = hours.get(symbol)
    const found = Array.from({ length: limit }, (_, i) => candle(candles, interval, since.getTime() + i * LENGTHS[interval]))
    return found.filter(Boolean)
  },
  formatPrice: async (_, price) => `${price}`,
  formatQuantity: async (_, quantity) => `${quantity}`,
})
kit.addStrategySchema({
  strategyName,
  interval: '1h',
  getSignal: async (symbol, when) => {
    const signal = said.get(symbol).get(when.getTime())
    if (!signal) return null
    const { side, close, atr } = signal
    return {
      position: side > 0 ? 'long' : 'short',
      priceOpen: close,
      priceTakeProfit: close + side * TARGET_ATR * atr,
      priceStopLoss: close - side * STOP_ATR * atr,
      minuteEstimatedTime: 60 * EXPIRY_HOURS,
    }
  },
})
for (const [symbol, candles] of markets) {
  const frameName = `all of ${symbol}`
  // The last signals have the whole of their life.
  const last = candles.at(-1)[0] - EXPIRY_HOURS * HOUR
  kit.addFrameSchema({ frameName, interval: '1h', startDate: new Date(candles[0][0] + HOUR), endDate: new Date(last) })
  for await (const event of kit.Backtest.run(symbol, { strategyName, exchangeName, frameName })) {
    if (event.action === 'closed') handled++
  }
}
console.log(JSON.stringify({ ...usage(), signals: given, handled }))
