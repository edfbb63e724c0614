// Learns from a number of outcomes (first argument) in an empty home (second argument). Prints the peak memory of the process.
import { SignalLoop } from '../../index.js'
import { usage } from '../shared/children.mjs'
import { closed, untilKnown } from './closed.mjs'

const [count, home] = [Number(process.argv[2]), process.argv[3]]
const AT_ONCE = 5_000
const loop = new SignalLoop({ home })
loop.configure({ durability: 'os' })
for (let from = 0; from < count; from += AT_ONCE) {
  await loop.feedbackTracker.recordSignals(Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, i) => closed(from + i)))
}
await untilKnown(loop.feedbackTracker, count)
await loop.close()
console.log(JSON.stringify(usage()))
