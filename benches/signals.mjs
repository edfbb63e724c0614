// Measures whether the predictions of `assess` for real signals are right and earn money. Strategies give signals on real candles. Each is
// assessed before it is recorded, and later candles close it. Peers predict the same signals. Figures that signalloop loses are kept.
// docs/learning.md explains the method.
//
//     npm run bench:signals -- --data FOLDER            # btcusdt_1h.csv, …, also in its folders history and market
//     npm run bench:signals -- --data FOLDER --from 2021-01-01 --until 2025-01-01 --refit-days 91
//     npm run bench:signals -- --data FOLDER --no-candles             # signalloop is shown outcomes only
//     npm run bench:signals -- --data FOLDER --strategies textbook    # or all, or rsi,macd
//     npm run bench:signals -- --data FOLDER --symbols BTCUSDT,ETHUSDT --peers none
//     npm run bench:signals -- --data FOLDER --out FILE               # every signal as a line of JSON, with all answers
//     npm run bench:signals -- --data FOLDER --write                  # puts the tables into docs/learning.md
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { aboutMachine } from './shared/machine.mjs'
import { inFolder } from './shared/measure.mjs'
import { intoPage, markdown, text } from './shared/page.mjs'
import { python } from './shared/peers.mjs'
import { candlesOf } from './signals/candles.mjs'
import { runningMean } from './signals/judge.mjs'
import { EXPIRY_HOURS, REWARD_RISK, STOP_ATR, play } from './signals/play.mjs'
import { figuresOf, figuresTable, goalsTable } from './signals/report.mjs'
import { strategiesOf } from './signals/strategies.mjs'

const { values: options } = parseArgs({
  allowNegative: true,
  options: {
    data: { type: 'string' },
    from: { type: 'string', default: '2021-01-01' },
    until: { type: 'string', default: '2025-01-01' },
    'refit-days': { type: 'string', default: '91' },
    candles: { type: 'boolean', default: true },
    strategies: { type: 'string', default: 'all' },
    symbols: { type: 'string' },
    peers: { type: 'string', default: 'all' },
    out: { type: 'string' },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})
if (!options.data) throw new Error('--data must name a folder of candle files')
if (!['all', 'none'].includes(options.peers)) throw new Error(`--peers must be all or none, got ${options.peers}`)
const refitDays = Number(options['refit-days'])
if (!(refitDays > 0)) throw new Error(`--refit-days must be above 0, got ${options['refit-days']}`)
const [from, until] = ['from', 'until'].map((name) => {
  const ms = Date.parse(options[name])
  if (Number.isNaN(ms)) throw new Error(`--${name} must be a day like 2021-01-01, got ${options[name]}`)
  return ms
})

const stored = candlesOf(options.data)
const symbols = options.symbols?.split(',') ?? [...stored.keys()]
const lacking = symbols.filter((symbol) => !stored.has(symbol))
if (lacking.length > 0) throw new Error(`${options.data} has no candles of ${lacking.join(', ')}`)
const strategies = strategiesOf(options.strategies)
const peer = options.peers === 'all' ? python('-learning') : { missing: 'peers left out by --peers none' }
if (peer.missing) console.error(peer.missing)
const machine = aboutMachine()

/** The answers of the peers, by name: a probability for each row. */
function ofPeers(folder, rows) {
  if (peer.missing) return {}
  const [asked, answered] = ['asked.jsonl', 'answered.jsonl'].map((name) => join(folder, name))
  writeFileSync(asked, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const script = fileURLToPath(new URL('./signals/peers.py', import.meta.url))
  const { status, error } = spawnSync(peer.python, [script, asked, answered, '--candles', options.data, '--refit-days', `${refitDays}`], { stdio: 'inherit' })
  if (status !== 0) throw error ?? new Error(`${script} ended with ${status}`)
  const lines = readFileSync(answered, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line))
  return Object.fromEntries(Object.keys(lines[0]).map((name) => [name, lines.map((line) => line[name])]))
}

const { rows, seconds, others } = await inFolder(tmpdir(), async (home) => {
  const markets = new Map(symbols.map((symbol) => [symbol, stored.get(symbol)]))
  const played = await play({ home, markets, from, until, refitDays, strategies, candles: options.candles, news: (line) => console.error(line) })
  if (played.rows.length === 0) throw new Error('no signal came to an end')
  const means = runningMean(played.rows)
  for (const [i, row] of played.rows.entries()) row.runningMean = means[i]
  return { ...played, others: ofPeers(home, played.rows) }
})
if (options.out) {
  const line = (row, i) => ({ ...row, peers: Object.fromEntries(Object.entries(others).map(([name, stated]) => [name, stated[i]])) })
  writeFileSync(options.out, rows.map((row, i) => `${JSON.stringify(line(row, i))}\n`).join(''))
}

const figures = figuresOf(rows, others, rows.map((row) => row.runningMean))
const about =
  `${machine}; ${symbols.length} symbols, ${options.from} to ${options.until}, stop ${STOP_ATR} ATR, reward to risk ${REWARD_RISK}, ${EXPIRY_HOURS} hours; ${rows.length} signals; ` +
  `${options.candles ? `models trained on all candles before, every ${refitDays} days` : 'no candles shown'}; R net of 10 bp; intervals of 95 % over weeks; ` +
  `signals and candles ${Math.round(seconds.signals)} s, trainings ${Math.round(seconds.trainings)} s; ${peer.missing ?? `peers of ${peer.versions}`}.`
const tables = [goalsTable(figures), figuresTable(figures)]
const printed = (of) => [about, ...tables.flatMap((lines) => ['', of(lines)])].join('\n')
console.log(options.json ? JSON.stringify({ about, figures }, null, 2) : printed(text))
if (options.write) intoPage('learning.md', options.candles ? 'bench:signals' : 'bench:signals, outcomes alone', printed(markdown))
