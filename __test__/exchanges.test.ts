// Exchanges by name, and prices of the user's own.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SignalLoop, type CandleRequest, type ExchangeName, type LoopOptions, type Prices, type SchedulerConfiguration } from '..'
import { startExchange } from './helpers/exchange'
import { failure, newHome, newLoop } from './helpers/home'

const HOUR = 3_600_000
const MINUTE = 60_000
const NAMES = ['fetch', 'retrain', 'update', 'evaluate', 'watch'] as const
/** Tasks run only by hand. */
const IDLE: SchedulerConfiguration = Object.fromEntries(NAMES.map((name) => [name, { enabled: false }]))
type Row = [number, number, number, number, number, number]

const signal = (id: string, pair: string, timestamp: number) =>
  ({ id, pair, signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 95, takeProfit: 110, timestamp }) as const

test.each<ExchangeName>(['okx', 'kraken', 'coinbase'])('candles and prices come from %s', async (exchange) => {
  const market = await startExchange({ exchange, days: 20 })
  const loop = newLoop({ exchange, exchangeUrl: market.url })
  try {
    loop.configure({ symbols: ['BTC/USDT'], timeframes: ['1h'], historyDays: 90 })
    const [result] = await loop.fetchData()
    expect(result).toMatchObject({ symbol: 'BTCUSDT', timeframe: '1h', success: true, total: 480 })
    expect(readFileSync(join(loop.home, 'data', 'btcusdt_1h.csv'), 'utf8').trim().split('\n')).toHaveLength(481)
    // Its stop is above any price.
    const far = { ...signal('a', 'BTCUSDT', market.nowMs - 2 * HOUR), entryPrice: 1e9, stopLoss: 9e8, takeProfit: 2e9 }
    await loop.feedbackTracker.recordSignal(far)
    expect(await loop.startScheduler(IDLE).runOnce('watch')).toMatchObject({ outcome: 'finished', done: 1 })
  } finally {
    await loop.close()
    await market.stop()
  }
}, 60_000)

test('another exchange is refused by the names that are allowed', async () => {
  const wrong = (options: object) => failure(() => new SignalLoop({ home: newHome(), ...options } as LoopOptions))
  expect(await wrong({ exchange: 'bitfinex' })).toMatchObject({
    code: 'ERR_INVALID_CONFIG',
    message: expect.stringMatching(/`exchange` must be "binance", .*"kucoin"; for another exchange, see `fetchCandles`; got "bitfinex"/) as string,
  })
  expect(await wrong({ watchTimeframe: '7m' })).toMatchObject({ code: 'ERR_INVALID_CONFIG', message: expect.stringContaining('`watch_timeframe` must be') as string })
  expect(await wrong({ exchange: 5 })).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
  expect(await wrong({ fetchPrices: 5 })).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('fetchPrices') as string })
  const loop = newLoop()
  expect(() => loop.configure({ exchange: 'Bybit' as ExchangeName })).toThrow(/"Bybit"/)
  loop.configure({ exchange: 'bybit', watchTimeframe: '5m' })
})

/** A market whose price stands at 100. */
const standing = ({ timeframe, since, until }: CandleRequest): Row[] => {
  const step = timeframe === '1m' ? MINUTE : HOUR
  const first = Math.ceil(since / step) * step
  const count = Math.max(0, Math.ceil((until - first) / step))
  return Array.from({ length: Math.min(count, 1000) }, (_, n) => [first + n * step, 100, 101, 99, 100, 5])
}

/** Records a signal each of BTC and ETH, watches once, and returns the run and what is still open. */
async function watched(options: LoopOptions) {
  const loop = newLoop({ fetchCandles: async (request) => standing(request), ...options })
  const { feedbackTracker } = loop
  await feedbackTracker.recordSignals([signal('btc', 'BTC/USDT', Date.now() - 5 * MINUTE), signal('eth', 'ETHUSDT', Date.now() - 5 * MINUTE)])
  const run = await loop.startScheduler(IDLE).runOnce('watch')
  const { overall } = await feedbackTracker.getStats()
  await loop.close()
  return { run, open: overall.activeSignals }
}

describe('fetchPrices', () => {
  test.each<[string, (symbols: readonly string[]) => Prices | Promise<Prices>]>([
    ['an object', () => ({ 'BTC/USDT': 94, ETHUSDT: 100, DOTUSDT: 1 })],
    ['a promise', async () => ({ BTCUSDT: 94, ETHUSDT: 100 })],
    ['a Map', async () => new Map([['BTC/USDT', 94], ['ETH/USDT', 100]])],
  ])('closes a signal by its price: %s', async (_name, fetchPrices) => {
    const asked: (readonly string[])[] = []
    const answer = (symbols: readonly string[]) => {
      asked.push(symbols)
      return fetchPrices(symbols)
    }
    const { run, open } = await watched({ fetchPrices: answer, watchTimeframe: '1m' })
    expect(run).toMatchObject({ outcome: 'finished', done: 1, failed: [] })
    expect(open).toBe(1)
    expect(asked).toEqual([['BTCUSDT', 'ETHUSDT']])
  })

  test.each<[string, () => unknown, RegExp]>([
    ['a missing price', () => ({ BTCUSDT: 100 }), /ETHUSDT: fetchPrices returned no price of it/],
    ['NaN', () => ({ BTCUSDT: 100, ETHUSDT: NaN }), /ETHUSDT: fetchPrices must return a number above 0; got "NaN"/],
    ['text', () => ({ BTCUSDT: 100, ETHUSDT: '100' }), /must return a number above 0; got "100"/],
    ['a negative one', () => ({ BTCUSDT: 100, ETHUSDT: -1 }), /got -1/],
  ])('%s fails its symbol alone', async (_name, fetchPrices, said) => {
    const { run, open } = await watched({ fetchPrices: fetchPrices as never })
    expect(run.failed).toMatchObject([{ symbol: 'ETHUSDT', code: 'ERR_EXCHANGE', message: expect.stringMatching(said) as string }])
    expect(open).toBe(2)
  })

  test.each<[string, () => unknown, RegExp]>([
    ['throws', () => { throw new Error('the feed is down') }, /prices: fetchPrices failed: the feed is down/],
    ['rejects', () => Promise.reject(new Error('the feed is down')), /the feed is down/],
    ['returns an array', () => [94, 100], /must return an object or a Map of prices by symbol; got \[94,100\]/],
    ['returns nothing', () => undefined, /must return an object or a Map/],
  ])('that %s fails the run, and closes nothing', async (_name, fetchPrices, said) => {
    const { run, open } = await watched({ fetchPrices: fetchPrices as never })
    expect(run).toMatchObject({ outcome: 'failed', error: { code: 'ERR_EXCHANGE', message: expect.stringMatching(said) as string } })
    expect(open).toBe(2)
  })
})

test('watchTimeframe says which candles are asked for', async () => {
  for (const [watchTimeframe, expected] of [[undefined, '1h'], ['1m', '1m']] as const) {
    const asked = new Set<string>()
    const fetchCandles = async (request: CandleRequest) => {
      asked.add(request.timeframe)
      return standing(request)
    }
    await watched({ fetchCandles, ...(watchTimeframe && { watchTimeframe }), fetchPrices: () => ({ BTCUSDT: 100, ETHUSDT: 100 }) })
    expect([...asked]).toEqual([expected])
  }
})
