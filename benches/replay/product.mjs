// Runs one replay in a process of its own and prints what it took.
//
//     node product.mjs HOME OPTIONS        # options of `replay` as JSON; a strategy is that of rules.mjs unless `own` is given
import { join } from 'node:path'
import { SignalLoop } from '../../index.js'
import { usage } from '../shared/children.mjs'
import { textbook } from './rules.mjs'

const [home, options] = [process.argv[2], JSON.parse(process.argv[3])]
const loop = new SignalLoop({ home })
const source = options.own ? {} : { strategy: textbook() }
const { summary, happened } = await loop.replay({ candles: join(home, 'data'), timeframes: ['1h'], ...source, ...options })
await loop.close()
const { signals, closed } = summary.all
console.log(JSON.stringify({ ...usage(), signals, handled: closed, promoted: happened.promoted }))
