// Signals in PostgreSQL: recording, beside node-postgres with hand-written SQL that does the same, and prices that hit nothing,
// beside the same in files; a full training by three processes, beside one. The server is a real one of its own, synced as in production, without TLS.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { cpSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SignalLoop } from '../../index.js'
import { output } from '../shared/children.mjs'
import { candles } from '../shared/data.mjs'
import { alternate, inFolder, perSecond } from '../shared/measure.mjs'
import { CHUNK, SYMBOLS, quietPrice, recordedPerSecond, signal, signals } from './signals.mjs'

const CALLERS = 64
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const SERVER = join(ROOT, 'scripts', 'postgres.mjs')
const INSTANCE = join(ROOT, 'benches', 'store', 'instance.mjs')

/** Runs `work(url)` with a server of its own; `undefined` where there is no PostgreSQL. */
async function withPostgres(work) {
  const server = spawn(process.execPath, [SERVER], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(server, 'exit')
  try {
    const { value } = await createInterface({ input: server.stdout })[Symbol.asyncIterator]().next()
    return value && (await work(JSON.parse(value).url))
  } finally {
    server.stdin.end()
    await ended
  }
}

const TABLE = `CREATE SCHEMA peer; CREATE TABLE peer.signals (
  id text PRIMARY KEY, symbol text NOT NULL, timeframe text NOT NULL, signal_type text NOT NULL, entry_price double precision,
  stop_loss double precision, take_profit double precision, given_at timestamptz NOT NULL, outcome text NOT NULL, rest jsonb NOT NULL)`
const COLUMNS = 'id, symbol, timeframe, signal_type, entry_price, stop_loss, take_profit, given_at, outcome, rest'
const INSERT = `INSERT INTO peer.signals (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'ACTIVE', $9) ON CONFLICT DO NOTHING`
const INSERT_ALL = `INSERT INTO peer.signals (${COLUMNS})
  SELECT s->>'id', s->>'pair', s->>'timeframe', s->>'signalType', (s->>'entryPrice')::float8, (s->>'stopLoss')::float8,
    (s->>'takeProfit')::float8, (s->>'timestamp')::timestamptz, 'ACTIVE', s FROM jsonb_array_elements($1::jsonb) AS s
  ON CONFLICT DO NOTHING`

/** What a backend would write itself: a pool, and a prepared statement a signal. */
class PoolOfSignals {
  constructor(pg, url, connections) {
    this.pool = new pg.Pool({ connectionString: url.replace('?sslmode=disable', ''), max: connections })
  }

  async insert(s) {
    const values = [s.id, s.pair, s.timeframe, s.signalType, s.entryPrice, s.stopLoss, s.takeProfit, s.timestamp, JSON.stringify(s)]
    await this.pool.query({ name: 'insert', text: INSERT, values })
  }

  async insertAll(signals) {
    await this.pool.query({ name: 'insert-all', text: INSERT_ALL, values: [JSON.stringify(signals)] })
  }
}

async function recording({ url, home, rounds, ms, bulk, peer }) {
  const loop = new SignalLoop({ home, store: url })
  const tracker = loop.feedbackTracker
  // Its default, and as many as there are callers.
  const pools = peer.module ? [10, CALLERS].map((count) => new PoolOfSignals(peer.module, url, count)) : []
  try {
    await pools[0]?.pool.query(TABLE)
    let n = 0
    const ours = (callers) => () => perSecond(ms, callers, () => tracker.recordSignal(signal(n++)))
    const theirs = (pool, callers) => pool && (() => perSecond(ms, callers, () => pool.insert(signal(n++))))
    const inBulk = (record) => () => {
      n += bulk
      return recordedPerSecond(n - bulk, bulk, record)
    }
    const figures = await alternate(rounds, {
      ours64: ours(CALLERS), ten: theirs(pools[0], CALLERS), all: theirs(pools[1], CALLERS),
      ours1: ours(1), one: theirs(pools[0], 1),
      oursBulk: inBulk((chunk) => tracker.recordSignals(chunk)), bulk: pools[0] && inBulk((chunk) => pools[0].insertAll(chunk)),
    })
    const unit = 'signals/s'
    const name = (what) => `node-postgres, ${what}`
    return [
      { what: 'records, 64 callers at once', unit, ours: figures.ours64, peer: figures.ten, peerName: name('a pool of 10, an INSERT a signal'), targetRatio: 3 },
      { what: 'the same', unit, ours: figures.ours64, peer: figures.all, peerName: name('a pool of 64, an INSERT a signal'), targetRatio: 3 },
      { what: 'records, one caller that awaits each', unit, ours: figures.ours1, peer: figures.one, peerName: name('an INSERT a signal') },
      { what: `\`recordSignals\`, ${CHUNK} a call`, unit, ours: figures.oursBulk, peer: figures.bulk, peerName: name('one INSERT a call') },
    ]
  } finally {
    await loop.close()
    for (const { pool } of pools) await pool.end()
  }
}

async function quiet({ url, home, rounds, open, ticks }) {
  const loops = { database: new SignalLoop({ home, store: url }), files: new SignalLoop({ home, store: 'files' }) }
  const all = signals(0, open)
  const pairs = Array.from({ length: CHUNK }, (_, i) => SYMBOLS[i % SYMBOLS.length])
  const prices = Float64Array.from({ length: CHUNK }, (_, i) => quietPrice(i))
  // The two take the same way through memory: only long rounds tell them apart.
  const count = 5 * ticks
  try {
    const turns = {}
    for (const [name, { feedbackTracker: tracker }] of Object.entries(loops)) {
      for (let i = 0; i < open; i += CHUNK) await tracker.recordSignals(all.slice(i, i + CHUNK))
      turns[name] = async () => {
        const begin = performance.now()
        for (let i = 0; i < count; i += CHUNK) {
          if ((await tracker.onPrices(pairs, prices)).length > 0) throw new Error('a price closed a signal that it should not')
        }
        return (count / (performance.now() - begin)) * 1000
      }
    }
    const figures = await alternate(rounds, turns)
    return [{ what: `\`onPrices\`, ${open} open, no hit, ${CHUNK} a call`, unit: 'prices/s', ours: figures.database, peer: figures.files, peerName: 'the same in files', targetRatio: 1 }]
  } finally {
    for (const loop of Object.values(loops)) await loop.close()
  }
}

/** Instances with homes of their own, which share a database; `work(train)` is given what has the first one train. */
async function withInstances(homes, url, work) {
  const all = homes.map((home) => spawn(process.execPath, [INSTANCE, home, url], { stdio: ['pipe', 'pipe', 'inherit'] }))
  const ended = all.map((instance) => once(instance, 'exit'))
  try {
    const lines = all.map((instance) => createInterface({ input: instance.stdout })[Symbol.asyncIterator]())
    for (const line of lines) await line.next()
    return await work(async () => {
      all[0].stdin.write('train\n')
      const { done, failed, seconds } = JSON.parse((await lines[0].next()).value)
      if (failed.length > 0) throw new Error(`${failed.length} of ${done} trainings failed: ${failed[0].message}`)
      return seconds
    })
  } finally {
    for (const instance of all) instance.stdin.end()
    await Promise.all(ended)
  }
}

async function retraining({ url, home, rounds, days }) {
  const homes = [0, 1, 2].map((n) => join(home, `instance-${n}`))
  await candles(homes[0], { timeframes: ['1h', '4h'], days })
  for (const other of homes.slice(1)) cpSync(homes[0], other, { recursive: true })
  const turn = (count) => () => withInstances(homes.slice(0, count), url, (train) => train())
  const figures = await alternate(Math.min(rounds, 3), { three: turn(3), one: turn(1) })
  return [{ what: `a full training of 18 markets, ${days} days, by three processes of one thread`, unit: 's', lower: true, ours: figures.three, peer: figures.one, peerName: 'by one of them alone' }]
}

/** How large the addon is with the client, and without: built for it, which takes minutes. */
function size({ quick }) {
  if (quick) return []
  console.error('building the addon without the client …')
  const target = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'without-postgres')
  output('cargo', 'build', '--manifest-path', join(ROOT, 'Cargo.toml'), '--locked', '--release', '--quiet', '--package', 'signalloop', '--no-default-features', '--target-dir', target)
  const bytes = (folder, name) => statSync(join(folder, readdirSync(folder).find((file) => name.test(file)))).size / 1e6
  const without = bytes(join(target, 'release'), /signalloop\.(so|dylib|dll)$/)
  return [{ what: 'size of the `.node`', unit: 'MB', lower: true, ours: [bytes(ROOT, /\.node$/)], peer: [without], peerName: 'without the feature `postgres`' }]
}

/** The rows of the table, which says so where there is no PostgreSQL. */
export async function postgres(settings) {
  const rows = []
  for (const measure of [recording, quiet, retraining]) {
    const measured = await withPostgres((url) => inFolder(settings.folder, (home) => measure({ ...settings, url, home })))
    if (!measured) return [{ what: 'PostgreSQL is not installed here: `apt-get install postgresql`' }]
    rows.push(...measured)
  }
  return [...rows, ...size(settings)]
}
