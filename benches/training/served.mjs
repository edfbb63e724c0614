// Serves all models of a home, training them first in another process if needed, and prints the cost.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { SignalLoop } from '../../index.js'
import { nodeFigures } from '../shared/children.mjs'
import { recent } from '../shared/data.mjs'
import { microseconds, predicted } from '../shared/measure.mjs'

const [home, times] = process.argv.slice(2)
if (!readdirSync(home).includes('models')) nodeFigures('training/ours.mjs', home)

const files = readdirSync(join(home, 'data')).filter((name) => name.endsWith('.csv'))
const asked = files.map((name) => [name.replace('.csv', '').split('_'), recent(join(home, 'data', name), 200)])
const loop = new SignalLoop({ home })
const predictors = asked.map(([[symbol, timeframe], candles]) => [loop.predictor(symbol.toUpperCase(), timeframe), candles])
const before = process.memoryUsage.rss()
for (const [predictor, candles] of predictors) await predicted(predictor, candles)
const bytes = process.memoryUsage.rss() - before
let turn = 0
const predictUs = await microseconds(Number(times), () => predicted(...predictors[turn++ % predictors.length]))
await loop.close()
console.log(JSON.stringify({ bytes, predictUs }))
