// Does training disturb the event loop? Measures the delay of timers with `monitorEventLoopDelay`, idle and during a full
// training, alternating in one run. The delay includes what the machine's other processes cost, hence the idle control.
//
//     npm run bench:event-loop                  # trains 18 models on a simulated market
//     npm run bench:event-loop -- --home ./ml   # trains the models of a home, on its stored candles
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { SignalLoop } from '../index.js'

const { values: options } = parseArgs({
  options: { home: { type: 'string' }, rounds: { type: 'string', default: '3' }, json: { type: 'boolean', default: false } },
})
const SYMBOLS = ['BTCUSDT', 'ETHUSDT', 'BNBUSDT', 'SOLUSDT', 'ADAUSDT', 'XRPUSDT', 'DOGEUSDT', 'DOTUSDT', 'AVAXUSDT']
const CLI = fileURLToPath(new URL('../bin/signalloop.js', import.meta.url))

async function simulatedHome() {
  const home = mkdtempSync(join(tmpdir(), 'signalloop-bench-'))
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: SYMBOLS, timeframes: ['1h', '4h'] }))
  const simulator = spawn(process.execPath, [CLI, 'simulator', '--days', '91', '--symbols', SYMBOLS.join(',')])
  try {
    const [line] = await once(createInterface({ input: simulator.stdout }), 'line')
    const loop = new SignalLoop({ home, exchangeUrl: JSON.parse(line).url })
    const failed = (await loop.fetchData()).filter((result) => !result.success)
    if (failed.length > 0) throw new Error(`cannot fetch: ${failed[0].error.message}`)
    await loop.close()
  } finally {
    simulator.kill()
    await once(simulator, 'exit')
  }
  return home
}

/** Runs `work` and returns the delays of timers meanwhile, in milliseconds. */
async function delays(work) {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  const begin = performance.now()
  await work()
  const seconds = (performance.now() - begin) / 1000
  histogram.disable()
  const ms = (nanoseconds) => nanoseconds / 1e6
  return { seconds, p50: ms(histogram.percentile(50)), p99: ms(histogram.percentile(99)), max: ms(histogram.max) }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

const home = options.home ?? (await simulatedHome())
const loop = new SignalLoop({ home })
const rounds = []
try {
  for (let round = 0; round < Number(options.rounds); round++) {
    let results
    const training = await delays(async () => {
      results = await loop.train({ fetch: false, onProgress: () => {} })
    })
    const idle = await delays(() => sleep(training.seconds * 1000))
    rounds.push({ models: results.successful, training, idle })
  }
} finally {
  await loop.close()
  if (!options.home) rmSync(home, { recursive: true, force: true })
}

const of = (kind) =>
  Object.fromEntries(['seconds', 'p50', 'p99', 'max'].map((key) => [key, median(rounds.map((r) => r[kind][key]))]))
const [idle, training] = [of('idle'), of('training')]
const machine = { node: process.version, cores: cpus().length, cpu: cpus()[0].model }
if (options.json) {
  console.log(JSON.stringify({ ...machine, rounds: rounds.length, models: rounds[0].models, idle, training }))
} else {
  const row = (name, { p50, p99, max }) =>
    console.log(`${name.padEnd(10)} p50 ${p50.toFixed(2)} ms   p99 ${p99.toFixed(2)} ms   max ${max.toFixed(2)} ms`)
  console.log(`Delay of the event loop, median of ${rounds.length} rounds; Node ${machine.node}, ${machine.cores} × ${machine.cpu}`)
  row('idle', idle)
  row('training', training)
  const above = (training.p99 - idle.p99).toFixed(2)
  console.log(`${rounds[0].models} models in ${training.seconds.toFixed(1)} s; p99 is ${above} ms above idle`)
}
