// What does it cost to ask about a signal, and to learn what became of one, when 10 000 have closed? How soon does a process know them
// after its start, how much memory do many more take, and how long four years of signals?
//
//     node benches/assess.mjs [--quick] [--data FOLDER]
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { SignalLoop } from '../index.js'
import { HOUR, INDICATORS, closed, endOf, givenAt, signal, untilKnown } from './assess/closed.mjs'
import { years } from './assess/years.mjs'
import { nodeFigures } from './shared/children.mjs'
import { median } from './shared/measure.mjs'
import { alone } from './shared/run.mjs'

const CLOSED = 10_000
const MANY = 100_000

/** Microseconds of each call. */
async function each(inputs, act) {
  const figures = []
  for (const input of inputs) {
    const begin = performance.now()
    await act(input)
    figures.push((performance.now() - begin) * 1e3)
  }
  return figures
}

function opened(home) {
  const loop = new SignalLoop({ home })
  loop.configure({ durability: 'os' })
  return loop
}

/** Milliseconds from the start of a loop to an answer from all outcomes, each round anew. */
async function starting(home, rounds, count) {
  const figures = []
  for (let round = 0; round < rounds; round++) {
    const begin = performance.now()
    const loop = opened(home)
    await untilKnown(loop.feedbackTracker, count)
    figures.push(performance.now() - begin)
    await loop.close()
  }
  return figures
}

async function measure({ folder, data, quick, rounds }) {
  const home = join(folder, 'home')
  mkdirSync(home)
  const loop = opened(home)
  const tracker = loop.feedbackTracker
  const calls = quick ? 300 : 3_000
  const outcomes = quick ? 30 : 100
  const all = CLOSED + rounds * outcomes
  const [assessing, closing, learning] = [[], [], []]
  try {
    await tracker.recordSignals(Array.from({ length: CLOSED }, (_, n) => closed(n)))
    await tracker.recordSignals(Array.from({ length: rounds * outcomes }, (_, n) => signal(CLOSED + n)))
    await untilKnown(tracker, CLOSED)
    const questions = Array.from({ length: calls }, (_, n) => ({ ...signal(n), id: undefined, timestamp: givenAt(all) }))
    const ends = Array.from({ length: rounds * outcomes }, (_, i) => {
      const given = signal(CLOSED + i)
      return { id: given.id, pair: given.pair, price: endOf(given), time: givenAt(CLOSED + i) + HOUR }
    })
    const close = async ({ id, pair, price, time }) => {
      const [end] = await tracker.onPrice(pair, price, time)
      if (end?.id !== id) throw new Error(`${id} was not closed`)
    }
    for (let round = 0; round < rounds; round++) {
      assessing.push(median(await each(questions, (question) => tracker.assess(question))))
      const [first, half] = [round * outcomes, outcomes / 2]
      closing.push(median(await each(ends.slice(first, first + half), close)))
      learning.push(median(await each(ends.slice(first + half, first + outcomes), async (end) => {
        await close(end)
        await tracker.assess(questions[0])
      })))
    }
  } finally {
    await loop.close()
  }
  const ready = await starting(home, rounds, all)
  const many = quick ? MANY / 10 : MANY
  const other = join(folder, 'many')
  mkdirSync(other)
  const { cpuSeconds, peakBytes } = nodeFigures('assess/many.mjs', many, other)
  const long = join(folder, 'years')
  mkdirSync(long)
  const days = quick ? 146 : 1_461
  const { signals, seconds } = await years(long, data, days)
  const unit = { unit: 'µs', lower: true }
  return [
    { what: `\`assess\` at ${CLOSED} closed signals of ${INDICATORS} indicators, median of a round`, ...unit, ours: assessing, target: 50 },
    { what: 'an outcome, `os`', ...unit, ours: closing, target: 1_000 },
    { what: 'an outcome and the `assess` after it, `os`', ...unit, ours: learning, target: 1_000 },
    { what: `from the start of a process to an \`assess\` that knows ${all} outcomes`, unit: 'ms', lower: true, ours: ready, target: 500 },
    { what: `peak memory of learning ${many} outcomes`, unit: 'MB', lower: true, ours: [peakBytes / 1e6], target: 2_000 },
    { what: 'CPU time of that', unit: 's', lower: true, ours: [cpuSeconds] },
    { what: `${days} days of ${signals} signals of five strategies on six markets: assessed, recorded, closed by candles`, unit: 's', lower: true, ours: [seconds], target: 60 },
  ]
}

export const assess = { name: 'assess', measure }
await alone(assess, import.meta.url)
