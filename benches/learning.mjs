// Measures how well signalloop learns from outcomes, as a share of the best possible result. signalloop and other learners get the same
// signals in many kinds of simulated worlds, whose rules are hidden from them. Figures that signalloop loses are kept.
// docs/learning.md explains the method.
//
//     npm run bench:learning                               # all worlds, 8 seeds
//     npm run bench:learning -- --quick                    # four worlds, 2 seeds, two checkpoints
//     npm run bench:learning -- --worlds textbook,shapes --seeds 20
//     npm run bench:learning -- --develop                  # other seeds, for tuning; those of the table are never used for it
//     npm run bench:learning -- --peers none               # or some of them: 'CatBoost,extra trees'
//     npm run bench:learning -- --peers-from FILE          # the peers' figures of an earlier run with --out: for development
//     npm run bench:learning -- --jobs 1                   # number of processes for the peers; default: one per core
//     npm run bench:learning -- --out FILE                 # all measurements by world and seed, as JSON; --json: JSON instead of the tables
//     npm run bench:learning -- --resume FILE              # stores each finished world in FILE, and continues from it
//     npm run bench:learning -- --write                    # puts the tables into docs/learning.md
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { measured } from './learning/measures.mjs'
import { playPeers } from './learning/peers.mjs'
import { checkpointsOf, play } from './learning/product.mjs'
import { FOUR, OURS, tables, toFile, toText } from './learning/report.mjs'
import { namesOf, world } from './learning/worlds.mjs'
import { aboutMachine } from './shared/machine.mjs'
import { python } from './shared/peers.mjs'

const { values: options } = parseArgs({
  options: {
    worlds: { type: 'string' },
    seeds: { type: 'string' },
    develop: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    peers: { type: 'string', default: 'all' },
    'peers-from': { type: 'string' },
    jobs: { type: 'string', default: `${availableParallelism()}` },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
    resume: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})

function count(name, text) {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} must be a whole number above 0, got ${text}`)
  return number
}

const seeds = count('seeds', options.seeds ?? (options.quick ? '2' : '8'))
const jobs = count('jobs', options.jobs)
const first = options.develop ? 1 : 1001
const names = namesOf(options.worlds ?? (options.quick ? 'textbook,shapes,effects,none-overlap' : undefined))
const checkpoints = options.quick ? [70, 300] : [70, 150, 300, 900]
const [signals, questions] = options.quick ? [500, 500] : [1200, 2000]
/** Whose mean it is. */
const AVERAGED = ['CatBoost', 'EBM', 'logistic regression', 'extra trees']

const run = { seeds, first, checkpoints, signals, questions }
const earlier = options['peers-from'] && JSON.parse(readFileSync(options['peers-from'], 'utf8'))
if (earlier && JSON.stringify(earlier.run) !== JSON.stringify(run)) {
  throw new Error(`--peers-from must be of a run like this one, ${JSON.stringify(run)}; ${options['peers-from']} is of ${JSON.stringify(earlier.run)}`)
}
if (earlier && options.write) throw new Error('--write needs peers in the same run')
const peers = earlier ? { missing: `peers of an earlier run: ${earlier.about}` } : options.peers === 'none' ? { missing: 'peers left out by --peers none' } : python('-learning')
if (peers.missing) console.error(peers.missing)
const only = options.peers === 'all' ? [] : options.peers.split(',')
const [machine, begin] = [aboutMachine(), performance.now()]

/** Of several contenders that answered the same questions. */
function averaged(answers) {
  const mean = (i, what) => answers.reduce((sum, of) => sum + of[i][what], 0) / answers.length
  return answers[0].map((_, i) => ({ p: mean(i, 'p'), r: mean(i, 'r'), take: mean(i, 'r') > 0 }))
}

/** The addon that is measured. */
function addonHash() {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const hash = createHash('sha256')
  for (const name of readdirSync(root).filter((name) => name.endsWith('.node')).sort()) hash.update(readFileSync(join(root, name)))
  return hash.digest('hex')
}

/** What a run must have in common with the run it continues. */
const same = JSON.stringify({ ...run, peers: peers.missing ?? [peers.versions, options.peers], addon: addonHash() })
const begun = options.resume && existsSync(options.resume) ? JSON.parse(readFileSync(options.resume, 'utf8')) : { same, figures: {}, seconds: 0, ours: 0 }
if (begun.same !== same) throw new Error(`--resume ${options.resume} is of another run, or of another addon: ${begun.same}; this one: ${same}`)
const figures = begun.figures

/** Stores the measurements of a learner's answers at each checkpoint. */
function keep(name, number, asked, contender, found) {
  figures[name] ??= {}
  figures[name][contender] ??= []
  figures[name][contender][number] = Object.fromEntries(asked.map(({ known, questions }) => [known, measured(found[known], questions)]))
}

let ours = begun.ours
const seconds = () => begun.seconds + (performance.now() - begin) / 1000
/** Writes the measurements so far, completely or not at all. */
function keepForResuming() {
  if (!options.resume) return
  writeFileSync(`${options.resume}.part`, JSON.stringify({ same, figures, seconds: seconds(), ours }))
  renameSync(`${options.resume}.part`, options.resume)
}

// World by world, so that the questions of only one world are in memory.
for (const name of names.filter((name) => !figures[name])) {
  console.error(`${name} …`)
  const cases = Array.from({ length: seeds }, (_, number) => {
    const drawn = world(name, first + number, signals)
    const asked = checkpointsOf(drawn, checkpoints).map((at) => ({ ...at, questions: drawn.questions(at.index, at.t, questions) }))
    return { world: drawn, checkpoints: asked }
  })
  for (const [number, { world, checkpoints }] of cases.entries()) {
    const { found, seconds } = await play(world, checkpoints)
    ours += seconds
    keep(name, number, checkpoints, OURS, found)
  }
  if (earlier) {
    if (!earlier.figures[name]) throw new Error(`${options['peers-from']} has no world ${name}`)
    figures[name] = { ...earlier.figures[name], ...figures[name] }
  }
  if (peers.missing) {
    keepForResuming()
    continue
  }
  const answers = cases.map(() => ({}))
  await playPeers(peers.python, cases, { jobs, only }, (number, contender, found) => {
    const named = Object.fromEntries(Object.entries(found).map(([known, all]) => [known, all.map(([p, r, take]) => ({ p, r, take: take === 1 }))]))
    answers[number][contender] = named
    keep(name, number, cases[number].checkpoints, contender, named)
  })
  if (AVERAGED.every((contender) => answers[0][contender])) {
    for (const [number, { checkpoints }] of cases.entries()) {
      const of = (known) => averaged(AVERAGED.map((contender) => answers[number][contender][known]))
      keep(name, number, checkpoints, FOUR, Object.fromEntries(checkpoints.map(({ known }) => [known, of(known)])))
    }
  }
  keepForResuming()
}

const about =
  `${machine}; ${seeds} seeds from ${first} on, mean ± standard error over them; signalloop / best single peer / mean of ${AVERAGED.join(', ')}; ` +
  `${questions} questions at each checkpoint; ${peers.missing ?? `peers of ${peers.versions}`}; ${Math.round(seconds())} s in all, ` +
  `signalloop ${(ours / (seeds * names.length)).toFixed(1)} s of CPU a world.`
const found = tables(Object.fromEntries(names.map((name) => [name, figures[name]])), checkpoints)
if (options.out) writeFileSync(options.out, JSON.stringify({ about, run, figures }))
console.log(options.json ? JSON.stringify({ about, run, figures }, null, 2) : toText(about, found))
if (options.write) toFile(about, found)
