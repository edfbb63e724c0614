// Measures the time of features: for 130 000 candles in one pass, and for one more candle. Compares with TA-Lib, pandas and two npm packages
// on the indicators that they share with signalloop's features; times are compared per indicator.
//
//     node benches/indicators.mjs [--data FOLDER] [--quick]
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { nodePeers } from './indicators/peers.mjs'
import { coreFigures, figures, pythonFile } from './shared/children.mjs'
import { candles } from './shared/data.mjs'
import { alternate } from './shared/measure.mjs'
import { python } from './shared/peers.mjs'
import { alone } from './shared/run.mjs'

const read = (file) =>
  readFileSync(file, 'utf8').trimEnd().split('\n').slice(1).map((line) => {
    const [, open, high, low, close, volume] = line.split(',').map(Number)
    return { open, high, low, close, volume }
  })

async function measure({ folder, data, quick, rounds }) {
  const kind = await candles(folder, { data, symbols: ['BTCUSDT'], timeframes: ['5m'], days: quick ? 60 : 458 })
  const file = join(folder, 'data', 'btcusdt_5m.csv')
  const series = read(file)
  const environment = python()
  const packages = nodePeers()
  const usable = packages.filter(({ missing }) => !missing)
  const played = await alternate(Math.min(rounds, 3), {
    ours: () => coreFigures('features', file),
    theirs: environment.python && (() => figures(environment.python, pythonFile('indicators.py'), file)),
    ...Object.fromEntries(usable.map((peer) => [peer.name, () => peer.play(series)])),
  }, { warmUp: false })

  const of = (name, figure) => played[name]?.map(figure)
  const each = of('ours', ({ allMs, features }) => allMs / features)
  const oneMore = of('ours', ({ oneMoreNs }) => oneMoreNs / 1e3)
  const count = played.theirs?.[0].count
  const row = { what: `${series.length} candles, ${kind}: time per indicator`, unit: 'ms', lower: true, ours: each }
  const live = { what: 'one more candle', unit: 'µs', lower: true, ours: oneMore }
  return [
    { ...row, peer: of('theirs', ({ talibMs }) => talibMs / count), peerName: `TA-Lib, ${count} indicators`, targetRatio: 1 },
    { ...row, what: 'the same', peer: of('theirs', ({ pandasMs }) => pandasMs / count), peerName: `pandas, ${count} indicators` },
    ...usable.map(({ name, version, count }) => ({
      ...row, what: 'the same', peer: of(name, ({ allMs }) => allMs / count), peerName: `${name} ${version}, ${count} indicators`,
    })),
    { ...live, what: 'one more candle: all 46 features', peer: of('theirs', ({ oneMoreUs }) => oneMoreUs), peerName: 'TA-Lib over 200 candles', target: 1 },
    ...usable.map(({ name, version, count }) => ({
      ...live, what: 'the same', peer: of(name, ({ oneMoreUs }) => oneMoreUs), peerName: `${name} ${version}, ${count} indicators`,
    })),
    ...[environment, ...packages].filter(({ missing }) => missing).map(({ missing }) => ({ what: missing })),
  ]
}

export const indicators = { name: 'indicators', measure }
await alone(indicators, import.meta.url)
