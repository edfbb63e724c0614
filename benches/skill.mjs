// Measures the skill of signalloop's models on real candles. Walks forward through folders of candle files, all markets pooled; trains
// every three months on everything known then, and compares with LightGBM on the same rows. Figures that signalloop loses are kept.
// docs/learning.md explains the method.
//
//     npm run bench:skill -- --data FOLDER [--data FOLDER]      # btcusdt_1h.csv, …; 2023 and 2024
//     npm run bench:skill -- --data FOLDER --history-days 90
//     npm run bench:skill -- --data FOLDER --placebo shift      # or walk: there is nothing to learn, and no skill may be shown
//     npm run bench:skill -- --data FOLDER --peers none --trials 12
//     npm run bench:skill -- --data FOLDER --write              # puts the table into docs/learning.md
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { mean } from './learning/measures.mjs'
import { deflatedSharpe, sharpe } from './learning/sharpe.mjs'
import { intoPage, markdown, text } from './shared/page.mjs'
import { python } from './shared/peers.mjs'

const { values: options } = parseArgs({
  options: {
    data: { type: 'string', multiple: true },
    timeframe: { type: 'string', default: '1h' },
    from: { type: 'string', default: '2023-01-01' },
    until: { type: 'string', default: '2025-01-01' },
    'refit-days': { type: 'string', default: '91' },
    'history-days': { type: 'string' },
    placebo: { type: 'string', default: 'none' },
    seed: { type: 'string', default: '1' },
    peers: { type: 'string', default: 'all' },
    trials: { type: 'string' },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})
if (!options.data) throw new Error('--data must name a folder of candle files')
if (!['all', 'none'].includes(options.peers)) throw new Error(`--peers must be all or none, got ${options.peers}`)

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DAY_MS = 86_400_000

function run(command, ...args) {
  const { status, error, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 30,
  })
  if (status !== 0) throw error ?? new Error(`${command} ended with ${status}`)
  return stdout
}

function skill(exchange, ...task) {
  const manifest = ['--manifest-path', join(ROOT, 'Cargo.toml'), '--locked', '--release', '--quiet', '--bin', 'skill']
  const about = options.data.flatMap((folder) => ['--data', folder])
  const span = ['--timeframe', options.timeframe, '--from', options.from, '--until', options.until]
  const placebo = ['--placebo', options.placebo, '--seed', options.seed, '--exchange', exchange]
  return run('cargo', 'run', ...manifest, '--', ...about, ...span, ...placebo, ...task)
}

/** Daily profit in percent of the capital, which is split evenly over the markets. */
function daily({ trades, markets }) {
  const [begin, end] = [Date.parse(options.from), Date.parse(options.until)]
  const days = new Array(Math.ceil((end - begin) / DAY_MS)).fill(0)
  for (const { closedMs, profitPercent } of trades) {
    const day = Math.min(days.length - 1, Math.floor((closedMs - 1 - begin) / DAY_MS))
    days[day] += profitPercent / markets
  }
  return days
}

const peer = options.peers === 'all' ? python('-learning') : { missing: 'LightGBM left out by --peers none' }
if (peer.missing) console.error(peer.missing)

const exchange = mkdtempSync(join(tmpdir(), 'signalloop-bench-'))
const scores = {}
try {
  const history = options['history-days'] ? ['--history-days', options['history-days']] : []
  skill(exchange, 'export', '--refit-days', options['refit-days'], ...history)
  scores.signalloop = JSON.parse(skill(exchange, 'score', 'signalloop'))
  if (peer.python) {
    run(peer.python, fileURLToPath(new URL('./learning/skill_peer.py', import.meta.url)), exchange)
    scores.LightGBM = JSON.parse(skill(exchange, 'score', 'lightgbm'))
  }
} finally {
  rmSync(exchange, { recursive: true, force: true })
}

const thousandths = (value) => (1000 * value).toFixed(2)
const lines = [['rows of', 'learner', 'log loss × 10⁻³ below (−) the constant', '95 %, by weeks', 'weeks', 'AUC']]
for (const [i, { part }] of scores.signalloop.parts.entries()) {
  for (const [learner, { parts }] of Object.entries(scores)) {
    const { mean: excess, excess: interval, weeks, auc } = parts[i].figures
    const between = interval ? `${thousandths(interval.low)} to ${thousandths(interval.high)}` : 'too few weeks'
    lines.push([part, learner, thousandths(excess), between, `${weeks}`, auc.toFixed(4)])
  }
}

// Every learner of this run is a trial, and so is every setting that was tried on these years before.
const returns = Object.fromEntries(Object.entries(scores).map(([learner, score]) => [learner, daily(score)]))
const ratios = Object.values(returns).map(sharpe)
const count = Math.max(Number(options.trials ?? 0), ratios.length)
const trials = [...ratios, ...new Array(count - ratios.length).fill(0)]
const bets = [['learner', 'bets', 'mean profit, % net', 'sum, % of capital', 'Sharpe, a year', `deflated, ${count} trials`]]
for (const [learner, { trades }] of Object.entries(scores)) {
  const days = returns[learner]
  const deflated = deflatedSharpe(days, trials)
  bets.push([
    learner,
    `${trades.length}`,
    trades.length > 0 ? mean(trades.map(({ profitPercent }) => profitPercent)).toFixed(3) : '',
    days.reduce((sum, value) => sum + value, 0).toFixed(1),
    trades.length > 0 ? (sharpe(days) * Math.sqrt(365)).toFixed(2) : '',
    deflated === undefined ? '' : deflated.toFixed(3),
  ])
}
const about =
  `${scores.signalloop.markets} markets, ${options.from} to ${options.until}, trained every ${options['refit-days']} days on ` +
  `${options['history-days'] ? `${options['history-days']} days` : 'all'} before; ` +
  `${options.placebo === 'none' ? '' : `placebo: ${options.placebo}; `}` +
  `bets net of 10 bp, one at a time a market${peer.missing ? `; ${peer.missing}` : ''}.`
console.log(options.json ? JSON.stringify({ about, scores }, null, 2) : [about, '', text(lines), '', text(bets)].join('\n'))
if (options.write) intoPage('learning.md', 'bench:skill', [about, '', markdown(lines), '', markdown(bets)].join('\n'))
