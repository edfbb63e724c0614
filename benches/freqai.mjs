// Compares with FreqAI, run offline on the same candles, in FreqAI's way: models trained on 60 days predict the following days.
// Nine pairs once; BTC every week of a year; and the cost of one more candle. FreqAI gets signalloop's target for a BUY;
// signalloop also trains a SELL, evaluates both walk-forward and applies its gate.
//
//     node benches/freqai.mjs [--data FOLDER] [--quick]
import { join } from 'node:path'
import { coreFigures, figures, pythonFile } from './shared/children.mjs'
import { SYMBOLS, candles } from './shared/data.mjs'
import { alternate, inFolder } from './shared/measure.mjs'
import { python } from './shared/peers.mjs'
import { alone } from './shared/run.mjs'

const TRAIN_DAYS = 60
const CASES = [
  { what: 'nine pairs of 1h, 60 days of training, 29 predicted', symbols: SYMBOLS, predictDays: 29, windows: 1, memory: 4 },
  { what: 'a year of BTC 1h, 53 weekly retrainings', symbols: ['BTCUSDT'], predictDays: 7, windows: 53 },
]

async function play({ what, symbols, predictDays, windows, memory }, { folder, data, rounds }) {
  const kind = await candles(folder, { data, symbols, timeframes: ['1h'], days: TRAIN_DAYS + 1 + predictDays * windows })
  const files = join(folder, 'data')
  const peer = python('-freqai')
  const last = {}
  const turn = (name, act) => async () => {
    last[name] = act()
    return last[name].cpuSeconds
  }
  const freqai = (shape) =>
    peer.python && turn(shape, () => figures(peer.python, pythonFile('freqai_driver.py'), files, shape, TRAIN_DAYS, predictDays, windows))
  const played = await alternate(
    rounds,
    {
      ours: turn('ours', () => coreFigures('walk', files, '--train-days', TRAIN_DAYS, '--predict-days', predictDays, '--windows', windows)),
      narrow: freqai('narrow'),
      wide: freqai('wide'),
    },
    { warmUp: false },
  )
  if (peer.missing) return [{ what: `${what}, ${kind}`, unit: 'CPU s', lower: true, ours: played.ours, peerName: 'FreqAI', targetRatio: 10 }, { what: peer.missing }]
  const { ours } = last
  return ['narrow', 'wide'].flatMap((shape) => {
    const theirs = last[shape]
    const peerName = `FreqAI, ${theirs.features} features`
    return [
      { what: `${what}, ${kind}`, unit: 'CPU s', lower: true, ours: played.ours, peer: played[shape], peerName, targetRatio: 10 },
      { what: 'its peak memory', unit: 'MB', lower: true, ours: [ours.peakBytes / 1e6], peer: [theirs.peakBytes / 1e6], peerName, targetRatio: memory },
      {
        what: `its log loss of BUY (constant: ours ${ours.constant.toFixed(4)}, FreqAI's ${theirs.constant.toFixed(4)})`,
        unit: '', lower: true, ours: [ours.logLoss], peer: [theirs.logLoss], peerName, target: ours.constant,
      },
    ]
  }).concat(windows === 1 ? liveCandle(files, last) : [])
}

/** One more candle of a pair: its features and its prediction. */
function liveCandle(files, { narrow, wide }) {
  const live = coreFigures('predict', join(files, 'btcusdt_1h.csv'))
  return [narrow, wide].map(({ liveMs, features }) => ({
    what: 'one more live candle: features and prediction, in the core', unit: 'ms', lower: true,
    ours: [live.liveCandleUs / 1e3], peer: [liveMs], peerName: `FreqAI, ${features} features`, target: 0.1,
  }))
}

async function measure({ data, quick, rounds, folder }) {
  const rows = []
  for (const wanted of quick ? CASES.slice(0, 1) : CASES) {
    rows.push(...(await inFolder(folder, (own) => play(wanted, { folder: own, data, rounds: Math.min(rounds, wanted.windows > 1 ? 1 : 3) }))))
  }
  return rows
}

export const freqai = { name: 'freqai', measure }
await alone(freqai, import.meta.url)
