// Does training disturb the event loop, that of short histories and that of years? Measures the delay of timers with `monitorEventLoopDelay`, idle and during a full
// training, alternating in one run. The delay includes what the machine's other processes cost, hence the idle control.
//
//     npm run bench:event-loop                      # trains 18 models on a simulated market
//     npm run bench:event-loop -- --data FOLDER     # on real candles
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { SignalLoop } from '../index.js'
import { SIX, candles } from './shared/data.mjs'
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

/** Delays during `trainings` trainings of a home, and as long without. */
async function compared(home, rounds, trainings) {
  const loop = new SignalLoop({ home })
  const played = { training: [], idle: [], models: 0 }
  try {
    for (let round = 0; round < rounds; round++) {
      const training = await delays(async () => {
        for (let i = 0; i < trainings; i++) played.models = (await loop.train({ fetch: false, onProgress: () => {} })).successful
      })
      played.training.push(training)
      played.idle.push(await delays(() => sleep(training.seconds * 1000)))
    }
  } finally {
    await loop.close()
  }
  return played
}

async function measure({ folder, data, quick, rounds }) {
  const [short, long] = [join(folder, 'short'), join(folder, 'long')]
  const kind = await candles(short, { data, timeframes: ['1h', '4h'], days: 90 })
  const years = quick ? 1 : 4
  await candles(long, { data, symbols: SIX, timeframes: ['1h'], days: years * 365 })
  const tasks = [
    { played: await compared(short, rounds, quick ? 1 : TRAININGS), of: (models) => `${models} models` },
    { played: await compared(long, Math.min(rounds, 3), 1), of: () => `the pooled model of ${SIX.length} coins, ${years} years of 1h` },
  ]
  return tasks.flatMap(({ played, of }) => {
    const row = (what, key, allowed) => {
      const [ours, peer] = [played.training, played.idle].map((list) => list.map((delay) => delay[key]))
      return { what, unit: 'ms', lower: true, ours, peer, peerName: `idle; + ${allowed} ms allowed`, target: median(peer) + allowed }
    }
    return [
      row(`event loop during the training of ${of(played.models)}, ${kind}: p99 delay`, 'p99', 2),
      row('the same: longest delay', 'max', 20),
    ]
  })
}

export const eventLoop = { name: 'event-loop', measure }
await alone(eventLoop, import.meta.url)
