// Does signalloop learn from outcomes, and how near does it come to the best possible? A planted market, whose hidden rules
// only its file knows, is played by signalloop and by what one could use instead, on the same signals. docs/learning.md
// explains the method.
//
//     npm run bench:learning                      # 20 seeds
//     npm run bench:learning -- --quick           # 3 seeds, peers fitted at the checkpoints only, no weeks
//     npm run bench:learning -- --seeds 50
//     npm run bench:learning -- --peers none      # without Python
//     npm run bench:learning -- --jobs 4          # peers in so many processes; default: one a core
//     npm run bench:learning -- --write           # puts the tables into docs/learning.md
import { availableParallelism, cpus, release, type } from 'node:os'
import { parseArgs } from 'node:util'
import { casesOf, measured } from './learning/cases.mjs'
import { CONTENDERS, play } from './learning/contenders.mjs'
import { playPeers } from './learning/peers.mjs'
import { report, table, toFile } from './learning/report.mjs'
import { python } from './shared/peers.mjs'

const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    peers: { type: 'string', default: 'all' },
    jobs: { type: 'string', default: `${availableParallelism()}` },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})

function count(name, text) {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} must be a whole number above 0, got ${text}`)
  return number
}

const seeds = count('seeds', options.seeds ?? (options.quick ? '3' : '20'))
const jobs = count('jobs', options.jobs)
if (!['all', 'none'].includes(options.peers)) throw new Error(`--peers must be all or none, got ${options.peers}`)

const begin = performance.now()
const peers = options.peers === 'all' ? python() : { missing: 'Python peers left out by --peers none' }
if (peers.missing) console.error(peers.missing)

const cases = casesOf(Array.from({ length: seeds }, (_, i) => i + 1), options.quick)
const figures = {}
const keep = (played, contender, stated) => {
  const variants = (figures[contender] ??= {})
  const ofSeeds = (variants[played.variant] ??= {})
  ofSeeds[played.seed] = measured(played, stated)
}

for (const contender of Object.keys(CONTENDERS)) {
  console.error(`${contender} …`)
  for (const played of cases) keep(played, contender, await play(contender, played))
}
if (peers.python) {
  console.error('Python peers …')
  await playPeers(peers.python, cases, jobs, keep)
}

const machine = {
  cpu: `${cpus().length} × ${cpus()[0].model}`,
  system: `${type()} ${release()}`,
  node: process.version,
  seeds,
  quick: options.quick,
  peers: peers.missing ?? `peers of ${peers.versions}`,
  seconds: Math.round((performance.now() - begin) / 1000),
}
const result = report(figures, { complete: !peers.missing })
console.log(options.json ? JSON.stringify({ machine, goals: result.goals, figures }, null, 2) : table(machine, result))
if (options.write) toFile(machine, result)
