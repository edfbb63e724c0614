// Measures the speed of the feedback store from Node, compared with better-sqlite3 and plain JavaScript. The programs take
// turns in one run; figures are medians of the rounds, ratios are medians of the rounds' ratios.
//
//     npm run bench:store                        # about four minutes
//     npm run bench:store -- --quick             # smaller sizes, fewer rounds
//     npm run bench:store -- --only prices       # writes, prices or opening
//     npm run bench:store -- --postgres          # signals in PostgreSQL instead, beside node-postgres
//     npm run bench:store -- --write             # puts the table into docs/performance.md
//     npm run bench:store -- --dir /mnt/disk     # on this disk instead of that of the temporary folder
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { aboutMachine } from './shared/machine.mjs'
import { npmPeer } from './shared/peers.mjs'
import { table, toFile, verdict } from './shared/report.mjs'
import { opening } from './store/opening.mjs'
import { betterSqlite3 } from './store/peers.mjs'
import { postgres } from './store/postgres.mjs'
import { hits, managed, quiet } from './store/prices.mjs'
import { durable, toTheSystem } from './store/writes.mjs'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    postgres: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    dir: { type: 'string', default: tmpdir() },
  },
})
const SIZES = options.quick
  ? { rounds: 3, ms: 300, bulk: 50_000, open: 100_000, ticks: 200_000, singles: 5_000, decisions: 50_000, closings: 10_000, logged: 100_000, openRounds: 3, days: 60 }
  : { rounds: 5, ms: 1_000, bulk: 200_000, open: 100_000, ticks: 1_000_000, singles: 20_000, decisions: 200_000, closings: 20_000, logged: 1_000_000, openRounds: 3, days: 400 }
const SECTIONS = options.postgres ? { postgres: [postgres] } : { writes: [durable, toTheSystem], prices: [quiet, managed, hits], opening: [opening] }
if (options.only && !(options.only in SECTIONS)) throw new Error(`--only must be one of ${Object.keys(SECTIONS).join(', ')}`)

const begin = performance.now()
const before = aboutMachine()
const peerName = options.postgres ? 'node-postgres' : 'better-sqlite3'
const peer = options.postgres ? npmPeer('pg') : betterSqlite3()
const rows = []
for (const [name, measurements] of Object.entries(SECTIONS)) {
  if (options.only && options.only !== name) continue
  for (const measure of measurements) {
    console.error(`${measure.name} …`)
    rows.push(...(await measure({ ...SIZES, quick: options.quick, folder: options.dir, peer })).map(verdict))
  }
}
if (peer.missing) rows.push({ what: peer.missing })

const about =
  `${before}, ${peerName} ${peer.version ?? 'missing'}; ${options.quick ? 'quick' : 'full'} sizes, medians of ${SIZES.rounds} rounds ` +
  `(${SIZES.openRounds} of openings), ${Math.round((performance.now() - begin) / 1000)} s in all.`
console.log(options.json ? JSON.stringify({ about, rows }, null, 2) : table({ about, rows }))
if (options.write) toFile(options.postgres ? 'bench:postgres' : 'bench:store', { about, rows })
