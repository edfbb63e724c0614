// Measures replays: signals of a strategy in JavaScript with and without learning, beside backtesters on the same candles and by the same
// rules; the loop's own signals; and how the costs grow. Rows that signalloop loses are kept. docs/performance.md explains the rows.
//
//     npm run bench:replay                                     # four years of simulated candles
//     npm run bench:replay -- --data FOLDER                    # real candles: btcusdt_1h.csv, …, also in its folders history and market
//     npm run bench:replay -- --from 2024-01-01 --until 2024-02-01
//     npm run bench:replay -- --only contenders,ten,growth     # some parts
//     npm run bench:replay -- --peers none                     # or some of them: backtesting.py,vectorbt
//     npm run bench:replay -- --no-trainings                   # without the rows whose models are trained, which take an hour
//     npm run bench:replay -- --rounds 5                       # of those that take seconds; default 3, the others run once
//     npm run bench:replay -- --json                           # JSON instead of the tables
//     npm run bench:replay -- --write                          # puts the tables into docs/performance.md
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { contenders, growth, modes, ten } from './replay/parts.mjs'
import { peersOf } from './replay/peers.mjs'
import { contendersTable, goalsTable, growthTable, tenTable } from './replay/report.mjs'
import { HOUR } from './replay/rules.mjs'
import { aboutMachine } from './shared/machine.mjs'
import { inFolder } from './shared/measure.mjs'
import { intoPage, markdown, text } from './shared/page.mjs'

const PARTS = { contenders, ten, growth }
const TABLES = { contenders: contendersTable, ten: tenTable, growth: growthTable }
const { values: options } = parseArgs({
  options: {
    data: { type: 'string' },
    from: { type: 'string', default: '2021-01-01' },
    until: { type: 'string', default: '2025-01-01' },
    only: { type: 'string', default: Object.keys(PARTS).join(',') },
    peers: { type: 'string', default: 'all' },
    rounds: { type: 'string', default: '3' },
    'no-trainings': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})
const [from, until] = ['from', 'until'].map((name) => {
  const ms = Date.parse(options[name])
  if (Number.isNaN(ms) || ms % HOUR !== 0) throw new Error(`--${name} must be a day like 2021-01-01, got ${options[name]}`)
  return ms
})
if (from >= until) throw new Error(`--until must be after --from, got ${options.until}`)
const rounds = Number(options.rounds)
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds must be a whole number above 0, got ${options.rounds}`)
const wanted = options.only.split(',')
const unknown = wanted.filter((name) => !Object.hasOwn(PARTS, name))
if (unknown.length > 0) throw new Error(`--only must name some of ${Object.keys(PARTS).join(', ')}; got ${unknown.join(', ')}`)
const peers = peersOf(options.peers)

const [machine, begin] = [aboutMachine(), performance.now()]
const measured = await inFolder(tmpdir(), async (folder) => {
  const found = {}
  for (const name of Object.keys(PARTS).filter((name) => wanted.includes(name))) {
    found[name] = await PARTS[name]({ folder, data: options.data, from, until, peers, rounds, modes: modes(options['no-trainings']) })
    // Printed at once, because a later measurement may be cancelled.
    if (!options.json) console.log(`\n${text(TABLES[name](found[name]))}\n`)
  }
  return found
})
const kinds = Object.entries(measured).map(([name, { kind }]) => `${name}: ${kind}`)
const versions = measured.contenders?.versions ?? []
const about =
  `${machine}; ${options.from} to ${options.until}, 1h, six coins; ${kinds.join(', ')}; ` +
  `${measured.contenders ? `medians of ${rounds} rounds where lowest and highest are given; ` : ''}` +
  `${versions.length > 0 ? `peers of ${[...new Set(versions.flatMap((text) => text.split(', ')))].join(', ')}` : 'no peers'}; ${Math.round((performance.now() - begin) / 1000)} s in all.`
const goals = goalsTable(measured)
if (options.json) console.log(JSON.stringify({ about, ...measured }, null, 2))
else console.log(`${about}\n\n${text(goals)}`)
if (options.write) {
  const tables = [goals, ...Object.entries(measured).map(([name, figures]) => TABLES[name](figures))]
  intoPage('performance.md', 'bench:replay', [about, ...tables.map(markdown)].join('\n\n'))
}
