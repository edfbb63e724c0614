// Does training disturb the event loop? Measures the delay of timers with `monitorEventLoopDelay`, idle and during a full
// training, alternating in one run. The delay includes what the machine's other processes cost, hence the idle control.
//
//     npm run bench:event-loop                      # trains 18 models on a simulated market
//     npm run bench:event-loop -- --data FOLDER     # on real candles
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { SignalLoop } from '../index.js'
import { candles } from './shared/data.mjs'
import { median } from './shared/measure.mjs'
import { alone } from './shared/run.mjs'

/** A training is over in a second; this many one after another show what is rare. */
const TRAININGS = 5

/** Runs `work` and returns the delays of timers meanwhile, in milliseconds. */
async function delays(work) {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  const begin = performance.now()
  await work()
  const seconds = (performance.now() - begin) / 1000
  histogram.disable()
  const ms = (nanoseconds) => nanoseconds / 1e6
  return { seconds, p99: ms(histogram.percentile(99)), max: ms(histogram.max) }
}

async function measure({ folder, data, quick, rounds }) {
  const kind = await candles(folder, { data, timeframes: ['1h', '4h'], days: 90 })
  const loop = new SignalLoop({ home: folder })
  const played = { training: [], idle: [] }
  let models
  try {
    for (let round = 0; round < rounds; round++) {
      const training = await delays(async () => {
        for (let i = 0; i < (quick ? 1 : TRAININGS); i++) models = (await loop.train({ fetch: false, onProgress: () => {} })).successful
      })
      played.training.push(training)
      played.idle.push(await delays(() => sleep(training.seconds * 1000)))
    }
  } finally {
    await loop.close()
  }
  const row = (what, key, allowed) => {
    const [ours, peer] = [played.training, played.idle].map((list) => list.map((delay) => delay[key]))
    return { what, unit: 'ms', lower: true, ours, peer, peerName: `idle; + ${allowed} ms allowed`, target: median(peer) + allowed }
  }
  return [
    row(`event loop during the training of ${models} models, ${kind}: p99 delay`, 'p99', 2),
    row('the same: longest delay', 'max', 20),
  ]
}

export const eventLoop = { name: 'event-loop', measure }
await alone(eventLoop, import.meta.url)
