// How long does a closing take after the trade that causes it, and how many requests does that cost: prices by WebSocket, beside
// prices requested every 10 seconds. Both loops watch the same kind of market, each on a simulated exchange of its own.
//
//     npm run bench:stream               # 5 rounds, about 5 minutes
//     npm run bench:stream -- --quick    # 1 round
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SignalLoop } from '../index.js'
import { alone } from './shared/run.mjs'

const CLI = fileURLToPath(new URL('../bin/signalloop.js', import.meta.url))
/** One signal of each is closed in a round; the trades come at random times of this many milliseconds. */
const CLOSED = Array.from({ length: 20 }, (_, i) => `FAST${i}USDT`)
const WINDOW_MS = 20_000
/** Signals of these stay open; they trade every second. */
const OPEN = ['BTCUSDT', 'ETHUSDT', 'SOLUSDT', 'ADAUSDT', 'XRPUSDT']
/** Prices below are in units of the market's price at the beginning. */
const PRICE = 1
const OFF = { enabled: false }

const quantile = (values, share) => values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]

/** A simulated exchange in a process of its own. */
async function exchange() {
  const child = spawn(process.execPath, [CLI, 'simulator', '--days', '3', '--symbols', [...CLOSED, ...OPEN].join(',')])
  child.stderr.pipe(process.stderr)
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  const { url } = JSON.parse(line)
  const ask = async (path, method = 'GET') => {
    const answer = await fetch(`${url}/simulator/${path}`, { method })
    if (!answer.ok) throw new Error(`${path}: HTTP ${answer.status}`)
    return answer.json()
  }
  const tickers = await (await fetch(`${url}/api/v3/ticker/price`)).json()
  const base = Object.fromEntries(tickers.map(({ symbol, price }) => [symbol, Number(price)]))
  return {
    url,
    base,
    trade: (symbol, price) => ask(`trade?symbol=${symbol}&price=${price * base[symbol]}`, 'POST'),
    requests: async () => (await ask('requests')).requests,
    async stop() {
      child.kill()
      await once(child, 'exit')
    },
  }
}

/** A loop that watches open signals. The market of `OPEN` trades every second. */
async function watching(home, prices) {
  const market = await exchange()
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: OPEN, timeframes: ['1h'] }))
  const loop = new SignalLoop({ home, exchangeUrl: market.url })
  const closed = new Map()
  loop.onEvent((event) => {
    if (event.type === 'signalClosed') closed.get(event.signal.id)?.(performance.now())
  })
  let number = 0
  /** A signal whose stop is 1 % below the price. */
  const record = async (symbol, stop) => {
    const id = `${prices}-${symbol}-${number++}`
    await market.trade(symbol, PRICE)
    const unit = market.base[symbol]
    const entry = { id, symbol, signalType: 'BUY', confidence: 60, entryPrice: unit, stopLoss: stop * unit, takeProfit: PRICE * 2 * unit, timestamp: Date.now() }
    if (!(await loop.feedbackTracker.recordSignal(entry))) throw new Error(`${id} was not recorded`)
    return id
  }
  for (const symbol of OPEN) await record(symbol, PRICE / 2)
  let turn = 0
  const trading = setInterval(() => {
    turn++
    for (const symbol of OPEN) market.trade(symbol, PRICE + (turn % 10) / 10_000).catch((error) => console.error(error))
  }, 1000)
  const scheduler = loop.startScheduler({
    watch: { prices, streamUrl: `${market.url.replace('http', 'ws')}/ws` },
    fetch: OFF, retrain: OFF, update: OFF, evaluate: OFF,
  })
  return {
    market,
    /** Milliseconds from trades, at random times, to the closings that they cause. */
    async delays() {
      return Promise.all(CLOSED.map(async (symbol) => {
        const id = await record(symbol, PRICE * 0.99)
        const closing = new Promise((resolve) => closed.set(id, resolve))
        // At least until the symbol is subscribed.
        await sleep(3000 + Math.random() * WINDOW_MS)
        const begin = performance.now()
        await market.trade(symbol, PRICE * 0.98)
        return (await closing) - begin
      }))
    },
    /** HTTP requests an hour for the signals that stay open. */
    async requests(ms) {
      const [begin, before] = [performance.now(), await market.requests()]
      await sleep(ms)
      return ((await market.requests()) - before) * (3_600_000 / (performance.now() - begin))
    },
    state: () => scheduler.status().stream,
    async close() {
      clearInterval(trading)
      await loop.close()
      await market.stop()
    },
  }
}

async function measure({ folder, quick, rounds }) {
  const stream = await watching(join(folder, 'stream'), 'stream')
  const poll = await watching(join(folder, 'poll'), 'poll')
  const figures = { p50: [[], []], p99: [[], []], requests: [[], []] }
  const both = (act) => Promise.all([act(stream), act(poll)])
  const keep = (name, values) => {
    for (const [i, value] of values.entries()) figures[name][i].push(value)
  }
  try {
    // The minute in which a stream begins is checked by candles, once it is over.
    await sleep(75_000)
    for (let round = 0; round < rounds; round++) {
      keep('requests', await both((one) => one.requests(quick ? 60_000 : 120_000)))
      const delays = await both((one) => one.delays())
      keep('p50', delays.map((values) => quantile(values, 0.5)))
      keep('p99', delays.map((values) => quantile(values, 0.99)))
    }
    const state = stream.state()
    if (!state?.connectedSince || state.lastGap) throw new Error(`the stream was not up all the time: ${JSON.stringify(state)}`)
    if (poll.state()) throw new Error('prices are polled, but a stream is open')
  } finally {
    await both((one) => one.close())
  }
  const row = (what, name, unit) => ({ what, unit, lower: true, ours: figures[name][0], peer: figures[name][1], peerName: 'requested every 10 s' })
  return [
    row(`from the trade to the event of the closing, ${CLOSED.length} signals a round: p50`, 'p50', 'ms'),
    row('the same: p99', 'p99', 'ms'),
    row(`requests for ${OPEN.length} symbols with open signals`, 'requests', 'an hour'),
  ]
}

export const stream = { name: 'stream', measure }
await alone(stream, import.meta.url)
