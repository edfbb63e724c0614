// Compares the whole system with alternatives on the same data. The programs of a table take turns, and rows that signalloop loses are kept.
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
import { pooledTraining } from './pooled-training.mjs'
import { prediction } from './predict.mjs'
import { table, toFile } from './shared/report.mjs'
import { OPTIONS, figuresOf } from './shared/run.mjs'
import { training } from './training.mjs'

const SECTIONS = [footprint, eventLoop, assess, prediction, indicators, training, freqai, growth, largeTraining, pooledTraining]

const { values: options } = parseArgs({ options: { ...OPTIONS, only: { type: 'string' }, write: { type: 'boolean', default: false } } })
const names = SECTIONS.map(({ name }) => name)
const wanted = options.only?.split(',') ?? names
const unknown = wanted.filter((name) => !names.includes(name))
if (unknown.length > 0) throw new Error(`--only must name some of ${names.join(', ')}; got ${unknown.join(', ')}`)

const measured = []
for (const section of SECTIONS.filter(({ name }) => wanted.includes(name))) {
  const figures = await figuresOf(section, options)
  measured.push({ name: section.name, ...figures })
  if (!options.json) console.log(`\n${table(figures)}`)
  // Printed at once, because a later measurement may be cancelled.
  if (options.write) toFile(`bench:${section.name}`, figures)
}
if (options.json) console.log(JSON.stringify(measured, null, 2))
