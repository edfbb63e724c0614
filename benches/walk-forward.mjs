// Would signalloop's models have been worth anything on real candles? Walks forward through a folder of candle files, trained
// anew every week on what was known then, beside LightGBM on the same features, labels and folds. Losing figures stay in.
// docs/learning.md explains the method.
//
//     npm run bench:walk-forward -- --data FOLDER             # btcusdt_1h.csv, …; 2023 and 2024
//     npm run bench:walk-forward -- --data FOLDER --from 2024-01-01 --until 2024-03-01 --history-days 90
//     npm run bench:walk-forward -- --data FOLDER --peers none
//     npm run bench:walk-forward -- --data FOLDER --write     # puts the table into docs/learning.md
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { mean, overSeeds } from './learning/measures.mjs'
import { python } from './shared/peers.mjs'
import { deflatedSharpe, sharpe } from './learning/sharpe.mjs'
import { intoPage, markdown, text } from './shared/page.mjs'

const { values: options } = parseArgs({
  options: {
    data: { type: 'string' },
    timeframe: { type: 'string', default: '1h' },
    from: { type: 'string', default: '2023-01-01' },
    until: { type: 'string', default: '2025-01-01' },
    'history-days': { type: 'string', default: '180' },
    peers: { type: 'string', default: 'all' },
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

function walkForward(exchange, ...task) {
  const manifest = ['--manifest-path', join(ROOT, 'Cargo.toml'), '--locked', '--release', '--quiet', '--example', 'walk_forward']
  const about = ['--data', options.data, '--timeframe', options.timeframe, '--from', options.from, '--until', options.until]
  return run('cargo', 'run', ...manifest, '--', ...about, '--exchange', exchange, ...task)
}

/** Percent of the capital earned each day, where every bet stakes one part of it: as many parts as markets. */
function daily(scores) {
  const [begin, end] = [Date.parse(options.from), Date.parse(options.until)]
  const days = new Array(Math.ceil((end - begin) / DAY_MS)).fill(0)
  for (const { closedMs, profitPercent } of scores.flatMap(({ trades }) => trades)) {
    const day = Math.min(days.length - 1, Math.floor((closedMs - 1 - begin) / DAY_MS))
    days[day] += profitPercent / scores.length
  }
  return days
}

const peer = options.peers === 'all' ? python() : { missing: 'LightGBM left out by --peers none' }
if (peer.missing) console.error(peer.missing)

const exchange = mkdtempSync(join(tmpdir(), 'signalloop-bench-'))
const scores = {}
try {
  walkForward(exchange, 'export', '--history-days', options['history-days'])
  scores.signalloop = JSON.parse(walkForward(exchange, 'score', 'signalloop'))
  if (peer.python) {
    run(peer.python, fileURLToPath(new URL('./learning/walk_forward_peer.py', import.meta.url)), exchange)
    scores.LightGBM = JSON.parse(walkForward(exchange, 'score', 'lightgbm'))
  }
} finally {
  rmSync(exchange, { recursive: true, force: true })
}

/** Every learner on every market, and on all together, is a trial. */
const trials = Object.values(scores)
  .flatMap((ofMarkets) => [...ofMarkets.map((score) => [score]), ofMarkets])
  .map((set) => sharpe(daily(set)))

function line(learner, what, set) {
  const trades = set.flatMap(({ trades }) => trades.map(({ profitPercent }) => profitPercent))
  const excess = overSeeds(set.flatMap(({ weeklyExcess }) => weeklyExcess))
  const [loss, constant] = ['logLoss', 'constantLogLoss'].map((key) => mean(set.map((score) => score[key])))
  const returns = daily(set)
  const deflated = deflatedSharpe(returns, trials)
  return [
    what,
    learner,
    constant.toFixed(4),
    `${loss >= constant ? '+' : ''}${(loss - constant).toFixed(4)} ± ${excess.margin?.toFixed(4) ?? '?'}`,
    learner === 'signalloop' && set.length === 1 ? (loss - constant <= 0.001 ? 'yes' : '**no**') : '',
    `${trades.length}`,
    trades.length > 0 ? mean(trades).toFixed(3) : '',
    returns.reduce((sum, value) => sum + value, 0).toFixed(1),
    trades.length > 0 ? (sharpe(returns) * Math.sqrt(365)).toFixed(2) : '',
    deflated === undefined ? '' : deflated.toFixed(3),
  ]
}

const names = scores.signalloop.map(({ market }) => market)
const lines = [
  [
    'market', 'learner', 'constant\'s log loss', 'above it', '≤ 0.001', 'trades', 'mean profit, % net', 'sum, % of capital',
    'Sharpe, a year', 'deflated',
  ],
  ...[...names.keys()].flatMap((i) => Object.keys(scores).map((learner) => line(learner, names[i], [scores[learner][i]]))),
  ...Object.keys(scores).map((learner) => line(learner, 'all', scores[learner])),
]
const about =
  `${names.length} markets, ${options.from} to ${options.until}, trained every week on the ${options['history-days']} days before; ` +
  `costs 10 bp a round trip; ${trials.length} trials${peer.missing ? `; ${peer.missing}` : ''}.`
console.log(options.json ? JSON.stringify({ about, scores, trials }, null, 2) : [about, '', text(lines)].join('\n'))
if (options.write) intoPage('learning.md', 'bench:walk-forward', [about, '', markdown(lines)].join('\n'))
