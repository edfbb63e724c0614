// Trains all models of a home from its candle files and prints the cost.
import { SignalLoop } from '../../index.js'
import { usage } from '../shared/children.mjs'

const loop = new SignalLoop({ home: process.argv[2] })
const { results } = await loop.train({ fetch: false })
await loop.close()
const failed = results.find(({ success }) => !success)
if (failed) throw new Error(`${failed.symbol} ${failed.timeframe}: ${failed.error.message}`)
const side = ({ logLoss, constantLogLoss, rows }) => ({ logLoss, constant: constantLogLoss, rows })
const markets = results.map(({ symbol, timeframe, model }) => [`${symbol.toLowerCase()}_${timeframe}`, [side(model.buy), side(model.sell)]])
console.log(JSON.stringify({ ...usage(), candles: results[0].model.candles, markets: Object.fromEntries(markets) }))
