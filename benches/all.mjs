// The whole system beside what people use instead, in one run on the same data: contenders take turns, losing rows stay in.
// Peers are installed on demand into benches/peers. docs/performance.md explains the rows.
//
//     npm run bench                              # on simulated candles
//     npm run bench -- --data FOLDER             # on real ones: btcusdt_1h.csv, btcusdt_5m.csv, …, also in folders below
//     npm run bench -- --quick                   # less data, one round
//     npm run bench -- --only training,predict   # some sections; each also runs alone: node benches/training.mjs
//     npm run bench -- --write                   # puts the tables into docs/performance.md
import { parseArgs } from 'node:util'
import { assess } from './assess.mjs'
import { eventLoop } from './event-loop.mjs'
import { footprint } from './footprint.mjs'
import { freqai } from './freqai.mjs'
import { growth } from './growth.mjs'
import { indicators } from './indicators.mjs'
import { largeTraining } from './large-training.mjs'
import { prediction } from './predict.mjs'
import { aboutMachine } from './shared/machine.mjs'
import { python } from './shared/peers.mjs'
import { table, toFile } from './shared/report.mjs'
import { OPTIONS, rowsOf } from './shared/run.mjs'
import { training } from './training.mjs'

const SECTIONS = [footprint, eventLoop, assess, prediction, indicators, training, largeTraining, growth, freqai]
const TITLES = {
  training: 'Training 18 models',
  'large-training': 'Training on 130 000 rows',
  growth: 'How training grows',
  freqai: 'FreqAI\'s way',
  indicators: 'Features',
  predict: 'Prediction',
  assess: 'What outcomes teach',
  'event-loop': 'The event loop during a training',
  footprint: 'What the addon costs',
}

const { values: options } = parseArgs({ options: { ...OPTIONS, only: { type: 'string' }, write: { type: 'boolean', default: false } } })
const wanted = options.only?.split(',') ?? SECTIONS.map(({ name }) => name)
const unknown = wanted.filter((name) => !(name in TITLES))
if (unknown.length > 0) throw new Error(`--only must name some of ${Object.keys(TITLES).join(', ')}; got ${unknown.join(', ')}`)

const begin = performance.now()
const before = aboutMachine()
const tables = []
for (const section of SECTIONS.filter(({ name }) => wanted.includes(name))) {
  tables.push({ title: TITLES[section.name], rows: await rowsOf(section, options) })
}
const peers = [python(), python('-freqai')].map(({ versions, missing }) => versions ?? missing).join(', ')
const seconds = Math.round((performance.now() - begin) / 1000)
const about =
  `${before}; Python peers ${peers}; ${options.quick ? 'quick, ' : ''}${options.data === undefined ? 'simulated' : 'real'} candles; ` +
  `medians of the rounds, lowest and highest in brackets; ${seconds} s in all.`
if (options.json) console.log(JSON.stringify({ about, tables }, null, 2))
else for (const { title, rows } of tables) console.log(`\n${title}\n${table(about, rows)}`)
if (options.write) toFile('bench', about, tables)
