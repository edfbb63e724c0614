// How much CPU does it take to train, evaluate and save 18 models, from candle files on? Beside the same task in Python: the
// same features, labels, weights and folds (benches/python/task.py), learners from PyPI, models saved by joblib.
//
//     node benches/training.mjs [--data FOLDER] [--quick]
import { candles } from './shared/data.mjs'
import { alternate, median } from './shared/measure.mjs'
import { python } from './shared/peers.mjs'
import { alone } from './shared/run.mjs'
import { contenders } from './training/contenders.mjs'
import { LEARNERS, meanLoss, sameTask } from './training/figures.mjs'

async function measure({ folder, data, quick, rounds }) {
  const kind = await candles(folder, { data, timeframes: quick ? ['4h'] : ['1h', '4h'], days: 90 })
  const peer = python()
  const learners = peer.missing ? [] : ['lightgbm', 'forest']
  const { turns, last } = contenders(folder, peer, learners)
  const played = await alternate(Math.min(rounds, 3), turns, { warmUp: false })

  const count = Object.keys(last.signalloop.markets).length
  const what = `training, evaluating and saving ${count} models, ${kind}`
  const better = learners.toSorted((a, b) => median(played[a]) - median(played[b]))[0]
  const own = { unit: 'CPU s', lower: true, ours: played.ours }
  const rows = [{ ...own, what, target: quick ? undefined : 6 }]
  for (const name of learners) {
    sameTask(last.signalloop, last[name])
    rows.push({ ...own, what: 'the same', peer: played[name], peerName: LEARNERS[name], targetRatio: name === better ? 5 : undefined })
    rows.push({
      what: `mean held-out log loss (constant ${meanLoss(last.signalloop, 'constant').toFixed(4)})`,
      unit: '', lower: true, ours: [meanLoss(last.signalloop)], peer: [meanLoss(last[name])], peerName: LEARNERS[name], targetRatio: 1,
    })
  }
  rows.push({ what: 'context: peak memory', unit: 'MB', lower: true, ours: [last.signalloop.peakBytes / 1e6], peer: better && [last[better].peakBytes / 1e6], peerName: LEARNERS[better] })
  if (peer.missing) rows.push({ what: peer.missing })
  return rows
}

export const training = { name: 'training', measure }
await alone(training, import.meta.url)
