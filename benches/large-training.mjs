// Measures the CPU time of training and evaluating one model of 130 000 rows, compared with other learners on the same rows, labels,
// weights and folds.
//
//     node benches/large-training.mjs [--data FOLDER] [--quick]
import { candles } from './shared/data.mjs'
import { alternate, median } from './shared/measure.mjs'
import { python } from './shared/peers.mjs'
import { alone } from './shared/run.mjs'
import { contenders } from './training/contenders.mjs'
import { LEARNERS, meanLoss, sameTask } from './training/figures.mjs'

async function measure({ folder, data, quick }) {
  const kind = await candles(folder, { data, symbols: ['BTCUSDT'], timeframes: ['5m'], days: quick ? 60 : 458 })
  const peer = python()
  const learners = peer.missing ? [] : ['lightgbm', 'histogram_boosting', 'forest']
  const { turns, last } = contenders(folder, peer, learners)
  // One round, because the peers take minutes.
  const played = await alternate(1, turns, { warmUp: false })

  const own = { unit: 'CPU s', lower: true, ours: played.ours }
  const what = `a model of ${last.signalloop.candles} candles of 5m, ${kind}`
  const fastest = learners.toSorted((a, b) => median(played[a]) - median(played[b]))[0]
  const rows = learners.flatMap((name) => {
    sameTask(last.signalloop, last[name])
    return [
      { ...own, what, peer: played[name], peerName: LEARNERS[name], targetRatio: name === fastest ? 1 : undefined },
      {
        what: `its held-out log loss (constant ${meanLoss(last.signalloop, 'constant').toFixed(4)})`,
        unit: '', lower: true, ours: [meanLoss(last.signalloop)], peer: [meanLoss(last[name])], peerName: LEARNERS[name], targetRatio: 1,
      },
      { what: 'its peak memory', unit: 'MB', lower: true, ours: [last.signalloop.peakBytes / 1e6], peer: [last[name].peakBytes / 1e6], peerName: LEARNERS[name] },
    ]
  })
  return peer.missing ? [{ ...own, what }, { what: peer.missing }] : rows
}

export const largeTraining = { name: 'large-training', measure }
await alone(largeTraining, import.meta.url)
