// Measures the live view on a large home: how long until the page's figures are painted, from a server that has shown it before; with the
// home unchanged, right after a signal closed, and under filters. It needs Chromium (CHROMIUM_PATH, or one of the usual places).
//
//     npm run bench:report                          # a million signals
//     npm run bench:report -- --signals 100000
//     npm run bench:report -- --home FOLDER         # keeps the generated home there, or measures one that is there
//     npm run bench:report -- --json
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { SignalLoop } from '../index.js'
import { aboutMachine } from './shared/machine.mjs'
import { table, verdict } from './shared/report.mjs'

const { values: options } = parseArgs({
  options: {
    signals: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '5' },
    home: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const [SIGNALS, ROUNDS] = [Number(options.signals), Number(options.rounds)]
const CHROMIUM = [process.env.CHROMIUM_PATH, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => path && existsSync(path))
if (!CHROMIUM) throw new Error('no Chromium here: apt-get install chromium, or set CHROMIUM_PATH')

const HOUR = 3_600_000
const CHUNK = 10_000
const STRATEGIES = ['breakout', 'reversal', 'trend', 'carry', 'news']
const SYMBOLS = Array.from({ length: 60 }, (_, n) => `C${n}USDT`)
/** Closed in three years, which end now. */
const BEGAN = Date.now() - 3 * 365 * 24 * HOUR
const SPAN = 3 * 365 * 24 * HOUR - 2 * HOUR

/** A generator of numbers from 0 to 1 that gives the same ones each time (Steele and others, splitmix32). */
function random(seed) {
  let state = seed
  return () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 4_294_967_296
  }
}

const next = random(7)

/** The n-th signal of a history, with its end. */
function ended(n) {
  const buy = next() < 0.5
  const [side, wins] = [buy ? 1 : -1, next() < 0.36]
  const timestamp = BEGAN + Math.floor((n / SIGNALS) * SPAN)
  return {
    id: `r${n}`,
    pair: SYMBOLS[Math.floor(next() * SYMBOLS.length)],
    signalType: buy ? 'BUY' : 'SELL',
    strategy: STRATEGIES[Math.floor(next() * STRATEGIES.length)],
    confidence: 30 + Math.floor(50 * next()),
    entryPrice: 100,
    stopLoss: 100 - side,
    takeProfit: 100 + 2 * side,
    timestamp,
    indicators: { rsi: 100 * next() },
    outcome: wins ? 'TOOK_PROFIT' : 'STOPPED_OUT',
    exitPrice: wins ? 100 + 2 * side : 100 - side,
    closedAt: timestamp + HOUR,
  }
}

async function generate(tracker) {
  const began = performance.now()
  for (let n = 0; n < SIGNALS; n += CHUNK) {
    await tracker.recordSignals(Array.from({ length: Math.min(CHUNK, SIGNALS - n) }, (_, i) => ended(n + i)))
  }
  console.error(`${SIGNALS} signals generated in ${Math.round((performance.now() - began) / 1000)} s`)
}

/** A signal that opens now, with what is said of it. */
const open = (id) => ({ id, pair: SYMBOLS[0], signalType: 'BUY', strategy: STRATEGIES[0], confidence: 60, entryPrice: 100, stopLoss: 99, takeProfit: 102, timestamp: Date.now() - 1000, indicators: { rsi: 50 } })

/** Whether the page shows figures and charts. It runs in the browser. */
const isDrawn = () => Boolean(document.querySelector('canvas') && document.querySelector('.tile dd'))

/** Milliseconds until the browser painted first, and until the figures and charts are there, since the request. */
async function visit(browser, url) {
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } })
  try {
    const began = performance.now()
    await page.goto(url, { waitUntil: 'commit' })
    await page.waitForFunction(isDrawn, undefined, { polling: 'raf' })
    const whole = performance.now() - began
    // The browser tells of its paints a moment later.
    await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length > 0)
    const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime)
    return { paint, whole }
  } finally {
    await page.close()
  }
}

async function rounds(browser, url, before = async () => {}) {
  const seen = []
  for (let round = 0; round < ROUNDS; round++) {
    await before(round)
    seen.push(await visit(browser, typeof url === 'string' ? url : url(round)))
  }
  return { paint: seen.map(({ paint }) => paint), whole: seen.map(({ whole }) => whole) }
}

const home = options.home ?? mkdtempSync(join(tmpdir(), 'signalloop-report-'))
const isThere = existsSync(join(home, 'feedback', 'signals.jsonl'))
const loop = new SignalLoop({ home, exchangeUrl: 'http://127.0.0.1:9' })
loop.configure({ durability: 'os' })
const server = createServer(loop.dashboard())
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
try {
  if (!isThere) await generate(loop.feedbackTracker)
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
  const url = `http://127.0.0.1:${server.address().port}/`
  const data = async (query = '') => (await fetch(`${url}?data${query}`)).json()
  const whole = async (query = '') => {
    const began = performance.now()
    while ((await data(query)).making.length > 0) await new Promise((wait) => setTimeout(wait, 100))
    return performance.now() - began
  }
  const first = await whole()
  console.error(`the first report took ${Math.round(first)} ms`)
  const { closedSignals } = (await data()).signals.figures

  const still = await rounds(browser, url)
  const moving = await rounds(browser, url, async (round) => {
    const id = `now-${Date.now()}-${round}`
    await loop.feedbackTracker.recordSignal(open(id))
    await loop.feedbackTracker.updateOutcome({ signalId: id, outcome: 'SUCCESS', exitPrice: 101 })
  })
  // Each filter is a new one, of which nothing was made before.
  const filtered = await rounds(browser, (round) => `${url}?strategy=${STRATEGIES[round % STRATEGIES.length]}&symbol=${SYMBOLS[round % SYMBOLS.length]}&since=2024-01-01`)
  const wide = await rounds(browser, (round) => `${url}?signalType=${round % 2 ? 'BUY' : 'SELL'}&since=${new Date(BEGAN + round * 24 * HOUR).toISOString().slice(0, 10)}`)

  const of = (what, { paint, whole: all }) => [
    { what: `${what}: first paint`, ours: paint, unit: 'ms', lower: true, target: 1000 },
    { what: `${what}: figures and charts drawn`, ours: all, unit: 'ms', lower: true },
  ]
  const rows = [
    { what: 'context: the first report of a server, all parts', ours: [first], unit: 'ms', lower: true },
    ...of('nothing new', still),
    ...of('right after a signal closed', moving),
    ...of('a strategy, a symbol and a period, for the first time', filtered),
    ...of('half of all signals, for the first time', wide),
  ].map(verdict)
  const about = `${aboutMachine()}; ${closedSignals} closed signals of ${SYMBOLS.length} symbols, medians of ${ROUNDS} rounds, ${await browser.version()}.`
  console.log(options.json ? JSON.stringify({ about, rows }, null, 2) : table({ about, rows }))
} finally {
  await browser.close()
  server.closeAllConnections()
  server.close()
  await loop.close()
  if (!options.home) rmSync(home, { recursive: true, force: true })
}
