// Measures the pooled model of years of candles: the CPU time to train and evaluate it, compared with LightGBM on the same rows, weights and
// folds, and the memory to serve it.
//
//     node benches/pooled-training.mjs [--data FOLDER] [--quick]
import { join } from 'node:path'
import { coreFigures, nodeFigures } from './shared/children.mjs'
import { SIX, candles } from './shared/data.mjs'
import { alternate } from './shared/measure.mjs'
import { python } from './shared/peers.mjs'
import { alone } from './shared/run.mjs'
import { contenders } from './training/contenders.mjs'
import { meanLoss, sameTask } from './training/figures.mjs'

async function measure({ folder, data, quick, rounds }) {
  const years = quick ? 1 : 4
  const kind = await candles(folder, { data, symbols: SIX, timeframes: ['1h'], days: years * 365 })
  const peer = python()
  const { turns, last } = contenders(folder, peer, peer.missing ? [] : ['lightgbm'], 'pooled.py')
  // One round, because the peer takes minutes.
  const played = await alternate(1, turns, { warmUp: false })
  return [...training(`the pooled model of ${SIX.length} coins, ${years} years of 1h, ${kind}`, played, last, peer), ...served(folder, quick, rounds)]
}

function training(what, played, { signalloop, lightgbm }, peer) {
  const own = { unit: 'CPU s', lower: true, ours: played.ours }
  if (peer.missing) return [{ ...own, what }, { what: peer.missing }]
  sameTask(signalloop, lightgbm)
  const peerName = 'LightGBM, 200 trees of 32 leaves'
  return [
    { ...own, what: `training and evaluating ${what}`, peer: [lightgbm.learnerSeconds], peerName: `${peerName}: its fits and predictions alone`, targetRatio: 3 },
    { ...own, what: 'the same', peer: played.lightgbm, peerName: `${peerName}, from candle files on` },
    {
      what: `its held-out log loss (constant ${meanLoss(signalloop, 'constant').toFixed(5)})`,
      unit: '', lower: true, ours: [meanLoss(signalloop)], peer: [meanLoss(lightgbm)], peerName: 'LightGBM, believed alike',
    },
    { what: 'its peak memory', unit: 'MB', lower: true, ours: [signalloop.peakBytes / 1e6], peer: [lightgbm.peakBytes / 1e6], peerName: 'LightGBM' },
  ]
}

/** Memory of a process that serves the model for all its markets. */
function served(folder, quick, rounds) {
  const turns = Array.from({ length: Math.min(rounds, 3) }, () => nodeFigures('training/served.mjs', folder, quick ? 300 : 3000))
  const files = SIX.map((symbol) => join(folder, 'data', `${symbol.toLowerCase()}_1h.csv`))
  const { liveCandleUs, modelUs } = coreFigures('predict', ...files)
  return [
    { what: 'it in service: resident memory that it adds', unit: 'MB', lower: true, ours: turns.map(({ bytes }) => bytes / 1e6), target: 30 },
    { what: '`predict` of 200 candles from JavaScript with it', unit: 'µs', lower: true, ours: turns.map(({ predictUs }) => predictUs), target: 100 },
    { what: 'one more candle of a market, in the core: features and both sides', unit: 'µs', lower: true, ours: [liveCandleUs], target: 10 },
    { what: 'context: both sides of rows that differ, one after the other', unit: 'µs', lower: true, ours: [modelUs] },
  ]
}

export const pooledTraining = { name: 'pooled-training', measure }
await alone(pooledTraining, import.meta.url)
