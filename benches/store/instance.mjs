// One of several instances that share a database: its scheduler runs nothing by itself, and helps with trainings. Says when it is
// there; told to, it runs a full training and prints how many seconds that took. Ends with its standard input.
//
//     node benches/store/instance.mjs HOME URL
import { createInterface } from 'node:readline'
import { SignalLoop } from '../../index.js'

const [home, store] = process.argv.slice(2)
const loop = new SignalLoop({ home, store, threads: 1, exchangeUrl: 'http://127.0.0.1:9' })
const off = { enabled: false }
const scheduler = loop.startScheduler({ watch: off, fetch: off, retrain: off, update: off, evaluate: off })
console.log('"ready"')
for await (const line of createInterface({ input: process.stdin })) {
  if (line !== 'train') continue
  const begin = performance.now()
  const { done, failed } = await scheduler.runOnce('retrain')
  console.log(JSON.stringify({ seconds: (performance.now() - begin) / 1000, done, failed }))
}
await loop.close()
