// Indicators from npm: those that both packages and signalloop's features have.
import { npmPeer } from '../shared/peers.mjs'

/** Streams of `technicalindicators`: each takes a candle. A value of three lines, as MACD's, counts as three. */
const technicalindicators = (m) => {
  const ofCloses = (Kind, lines, options) => ({ lines, indicator: new Kind({ ...options, values: [] }), next: (i, c) => i.nextValue(c.close) })
  const ofCandles = (Kind, lines, options) => ({
    lines, indicator: new Kind({ ...options, high: [], low: [], close: [], volume: [] }), next: (i, c) => i.nextValue(c),
  })
  const macd = { fastPeriod: 12, slowPeriod: 26, signalPeriod: 9, SimpleMAOscillator: false, SimpleMASignal: false }
  return [
    ofCloses(m.RSI, 1, { period: 7 }), ofCloses(m.RSI, 1, { period: 14 }), ofCloses(m.MACD, 3, macd),
    ofCloses(m.BollingerBands, 3, { period: 20, stdDev: 2 }), ofCloses(m.ROC, 1, { period: 10 }), ofCloses(m.SMA, 1, { period: 50 }),
    ofCandles(m.Stochastic, 2, { period: 14, signalPeriod: 3 }), ofCandles(m.WilliamsR, 1, { period: 28 }),
    ofCandles(m.CCI, 1, { period: 20 }), ofCandles(m.ATR, 1, { period: 14 }), ofCandles(m.MFI, 1, { period: 14 }),
    ofCandles(m.ADX, 3, { period: 14 }),
  ]
}

/** The same of `trading-signals`. */
const tradingSignals = (m) => {
  const ofCloses = (indicator, lines) => ({ indicator, lines, next: (i, c) => i.add(c.close) })
  const ofCandles = (indicator, lines) => ({ indicator, lines, next: (i, c) => i.add(c) })
  return [
    ofCloses(new m.RSI(7), 1), ofCloses(new m.RSI(14), 1), ofCloses(new m.MACD(new m.EMA(12), new m.EMA(26), new m.EMA(9)), 3),
    ofCloses(new m.BollingerBands(20, 2), 3), ofCloses(new m.ROC(10), 1), ofCloses(new m.SMA(50), 1),
    ofCandles(new m.StochasticOscillator(14, 3, 3), 2), ofCandles(new m.WilliamsR(28), 1), ofCandles(new m.CCI(20), 1),
    ofCandles(new m.ATR(14), 1), ofCandles(new m.MFI(14), 1), ofCandles(new m.ADX(14), 3),
  ]
}

/** Lets all candles but the last thousand through, then those, which tell what one more takes. */
function play(make, series) {
  const streams = make()
  const feed = (candles) => {
    const begin = performance.now()
    for (const { indicator, next } of streams) for (const candle of candles) next(indicator, candle)
    return performance.now() - begin
  }
  const [past, coming] = [series.slice(0, -1000), series.slice(-1000)]
  const [before, after] = [feed(past), feed(coming)]
  return { allMs: before + after, oneMoreUs: (1e3 * after) / coming.length }
}

/** `{ name, version, count, play(candles) }` of each package, or `{ missing }`. */
export const nodePeers = () =>
  [['technicalindicators', technicalindicators], ['trading-signals', tradingSignals]].map(([name, streams]) => {
    const { module, version, missing } = npmPeer(name)
    if (missing) return { missing }
    const make = () => streams(module)
    return { name, version, count: make().reduce((sum, { lines }) => sum + lines, 0), play: (series) => play(make, series) }
  })
