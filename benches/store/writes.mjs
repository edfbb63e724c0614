// Recording: durable, to the operating system, one by one, 64 at once, in bulk.
import { closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { SignalLoop } from '../../index.js'
import { alternate, inFolder, perSecond } from '../shared/measure.mjs'
import { SqliteSignals } from './peers.mjs'
import { CHUNK, recordedPerSecond, signal } from './signals.mjs'

const CALLERS = 64

async function withStores({ folder, peer }, durability, work) {
  return inFolder(folder, async (home) => {
    const loop = new SignalLoop({ home })
    loop.configure({ durability })
    const sqlite = peer.Database && new SqliteSignals(peer.Database, home, durability === 'os' ? 'OFF' : 'FULL')
    try {
      return await work({ tracker: loop.feedbackTracker, sqlite, home })
    } finally {
      await loop.close()
      sqlite?.close()
    }
  })
}

/** Appending a line and syncing it, with nothing around it. */
async function withRawFile(home, work) {
  const file = openSync(join(home, 'raw.jsonl'), 'a')
  try {
    return await work((sync, n) => {
      writeSync(file, `${JSON.stringify(signal(n))}\n`)
      sync(file)
    })
  } finally {
    closeSync(file)
  }
}

export async function durable(settings) {
  const { rounds, ms } = settings
  return withStores(settings, 'fsync', ({ tracker, sqlite, home }) =>
    withRawFile(home, async (append) => {
      let n = 0
      const ours = (callers) => () => perSecond(ms, callers, () => tracker.recordSignal(signal(n++)))
      const theirs = (callers) => sqlite && (() => perSecond(ms, callers, async () => sqlite.insert(signal(n++))))
      const raw = (sync) => () => perSecond(ms / 2, 1, async () => append(sync, n++))
      const figures = await alternate(rounds, {
        ours64: ours(CALLERS), theirs64: theirs(CALLERS), ours1: ours(1), theirs1: theirs(1),
        fdatasync: raw(fdatasyncSync), fsync: raw(fsyncSync),
      })
      const unit = 'signals/s'
      const peerName = 'better-sqlite3, WAL, FULL'
      return [
        { what: 'durable records, 64 callers at once', unit, ours: figures.ours64, peer: figures.theirs64, peerName, targetRatio: 10 },
        { what: 'durable records, one caller that awaits each', unit, ours: figures.ours1, peer: figures.theirs1, peerName, targetRatio: 1 },
        { what: 'context: one durable record at a time against a bare append', unit, ours: figures.ours1, peer: figures.fdatasync, peerName: 'writeSync + fdatasyncSync' },
        { what: 'context: the same', unit, ours: figures.ours1, peer: figures.fsync, peerName: 'writeSync + fsyncSync' },
      ]
    }),
  )
}

export async function toTheSystem(settings) {
  const { rounds, ms, bulk } = settings
  return withStores(settings, 'os', async ({ tracker, sqlite }) => {
    let n = 0
    const one = await alternate(rounds, {
      ours64: () => perSecond(ms, CALLERS, () => tracker.recordSignal(signal(n++))),
      theirs64: sqlite && (() => perSecond(ms, CALLERS, async () => sqlite.insert(signal(n++)))),
      ours1: () => perSecond(ms, 1, () => tracker.recordSignal(signal(n++))),
      theirs1: sqlite && (() => perSecond(ms, 1, async () => sqlite.insert(signal(n++)))),
    })
    const inBulk = (record) => () => {
      n += bulk
      return recordedPerSecond(n - bulk, bulk, record)
    }
    const many = await alternate(rounds, {
      ours: inBulk((chunk) => tracker.recordSignals(chunk)),
      theirs: sqlite && inBulk((chunk) => sqlite.insertAll(chunk)),
    })
    const unit = 'signals/s'
    const peerName = 'better-sqlite3, WAL, OFF'
    return [
      { what: '`os` records, 64 callers at once', unit, ours: one.ours64, peer: one.theirs64, peerName, targetRatio: 1 },
      { what: '`os` records, one caller that awaits each', unit, ours: one.ours1, peer: one.theirs1, peerName },
      { what: `\`recordSignals\`, ${CHUNK} a call, \`os\``, unit, ours: many.ours, peer: many.theirs, peerName: `${peerName}, one transaction a call`, target: 300_000 },
    ]
  })
}
