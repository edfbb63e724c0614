// Measures the time of a prediction: from JavaScript with 200 candles; the model alone; 10 000 rows at once. Compares with
// onnxruntime-node with a forest of the same shape, and with LightGBM from Python.
//
//     node benches/predict.mjs [--data FOLDER] [--quick]
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SignalLoop } from '../index.js'
import { coreFigures, figures, pythonFile } from './shared/children.mjs'
import { candles, recent } from './shared/data.mjs'
import { alternate, microseconds, predicted } from './shared/measure.mjs'
import { npmPeer, python } from './shared/peers.mjs'
import { alone } from './shared/run.mjs'

/** Runs the exported forest on one row and on all of them. */
async function onnx(peer, folder, columns) {
  const { InferenceSession, Tensor } = peer.module
  const session = await InferenceSession.create(join(folder, 'forest.onnx'), { intraOpNumThreads: 1, interOpNumThreads: 1 })
  const bytes = readFileSync(join(folder, 'rows.f32'))
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  const input = (rows) => ({ [session.inputNames[0]]: new Tensor('float32', values.subarray(0, rows * columns), [rows, columns]) })
  const [one, all] = [input(1), input(values.length / columns)]
  return { one: () => session.run(one), all: () => session.run(all) }
}

async function measure({ folder, data, quick, rounds }) {
  const kind = await candles(folder, { data, symbols: ['BTCUSDT'], timeframes: ['1h'], days: 90 })
  const file = join(folder, 'data', 'btcusdt_1h.csv')
  const loop = new SignalLoop({ home: folder })
  const [runtime, environment] = [npmPeer('onnxruntime-node'), python()]
  const times = quick ? 300 : 3000
  try {
    await loop.train({ fetch: false })
    const predictor = loop.predictor('BTCUSDT', '1h')
    const asked = recent(file, 200)
    const predict = () => predicted(predictor, asked)
    const boosted = environment.python && figures(environment.python, pythonFile('serving.py'), file, folder)
    const session = boosted && runtime.module && (await onnx(runtime, folder, boosted.features))
    const core = []
    const ofCore = (key) => core.map((figures) => figures[key])
    const played = await alternate(rounds, {
      whole: () => microseconds(times, predict),
      core: () => core.push(coreFigures('predict', file)),
      onnxOne: session && (() => microseconds(times, session.one)),
      onnxAll: session && (async () => 10_000 / ((await microseconds(5, session.all)) / 1e6)),
      boosted: boosted && (() => figures(environment.python, pythonFile('serving.py'), file, folder)),
    })
    core.splice(0, 1) // the warm-up round
    const speeds = played.boosted?.map(({ batchUs }) => 10_000 / (batchUs / 1e6))
    const us = { unit: 'µs', lower: true }
    const [onnxName, lightgbmName] = [`onnxruntime-node ${runtime.version}, one forest of the same shape`, 'LightGBM from Python, one side']
    return [
      { ...us, what: `\`predict\` of 200 candles from JavaScript, ${kind}: features and both sides`, ours: played.whole, peer: played.onnxOne, peerName: `${onnxName}, no features`, target: 100 },
      { ...us, what: 'the model alone, both sides, in the core', ours: ofCore('modelUs'), peer: played.onnxOne, peerName: onnxName, target: 5 },
      { ...us, what: 'the same', ours: ofCore('modelUs'), peer: played.boosted?.map(({ oneUs }) => oneUs), peerName: lightgbmName },
      { what: '10 000 rows at once, one side, in the core', unit: 'rows/s', ours: ofCore('batchRowsPerSecond'), peer: played.onnxAll, peerName: onnxName, targetRatio: 1 },
      { what: 'the same', unit: 'rows/s', ours: ofCore('batchRowsPerSecond'), peer: speeds, peerName: lightgbmName, targetRatio: 1 },
      ...[runtime, environment].filter(({ missing }) => missing).map(({ missing }) => ({ what: missing })),
    ]
  } finally {
    await loop.close()
  }
}

export const prediction = { name: 'predict', measure }
await alone(prediction, import.meta.url)
