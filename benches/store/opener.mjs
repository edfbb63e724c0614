// Opens the log of a home, with the store or with plain Node, and tells how long it took and what it keeps in memory.
//
//     node opener.mjs signalloop|readline <home>
import { createReadStream } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { SignalLoop } from '../../index.js'

const [kind, home] = process.argv.slice(2)

async function withStore() {
  const loop = new SignalLoop({ home })
  // The store opens at its first use.
  await loop.feedbackTracker.recovery()
  return async () => {
    const { overall } = await loop.feedbackTracker.getStats(undefined, undefined, 36_500)
    return { signals: overall.totalSignals, closed: overall.closedSignals }
  }
}

async function withReadline() {
  const newest = new Map()
  const lines = createInterface({ input: createReadStream(join(home, 'feedback', 'signals.jsonl')), crlfDelay: Infinity })
  lines.on('line', (line) => {
    const record = JSON.parse(line)
    newest.set(record.signal_id, record)
  })
  await once(lines, 'close')
  return async () => {
    const records = [...newest.values()]
    return { signals: records.length, closed: records.filter((record) => record.outcome !== 'ACTIVE').length }
  }
}

const before = process.memoryUsage.rss()
const begin = performance.now()
const count = await { signalloop: withStore, readline: withReadline }[kind]()
const seconds = (performance.now() - begin) / 1000
const residentBytes = process.memoryUsage.rss() - before
console.log(JSON.stringify({ seconds, residentBytes, ...(await count()) }))
// Not closing the store leaves its snapshot as it is.
process.exit()
