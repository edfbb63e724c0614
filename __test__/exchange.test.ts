import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startExchange, type Exchange } from './helpers/exchange'
import { newLoop } from './helpers/home'

const BTC = { symbols: ['BTCUSDT'], timeframes: ['1h'] } as const

describe('over real HTTP', () => {
  let exchange: Exchange

  beforeAll(async () => {
    exchange = await startExchange({ seed: 7, symbols: ['BTCUSDT', 'ETHUSDT'], days: 60 })
  })
  afterAll(() => exchange.stop())

  test('candles are fetched once, and then only what is missing', async () => {
    const loop = newLoop({ exchangeUrl: exchange.url })
    loop.configure({ historyDays: 30 })
    const [first] = await loop.fetchData(BTC)
    expect(first).toMatchObject({ symbol: 'BTCUSDT', timeframe: '1h', success: true })
    expect(first!.total).toBeGreaterThanOrEqual(718)
    const path = join(loop.home, 'data', 'btcusdt_1h.csv')
    const text = readFileSync(path, 'utf8')
    expect(await loop.fetchData(BTC)).toMatchObject([{ success: true, added: 0, total: first!.total }])
    expect(readFileSync(path, 'utf8')).toBe(text)
  })

  test('training fetches, and a signal is made of fresh candles', async () => {
    const loop = newLoop({ exchangeUrl: exchange.url })
    loop.configure({ historyDays: 30 })
    const results = await loop.train({ symbols: ['BTCUSDT', 'NOSUCHPAIR'], timeframes: ['1h'] })
    expect(results.results[0]).toMatchObject({ symbol: 'BTCUSDT', success: true })
    expect(results.results[0]).not.toHaveProperty('warning')
    expect(results.results[1]).toMatchObject({ success: false, error: { code: 'ERR_EXCHANGE', message: expect.stringContaining('NOSUCHPAIR') } })
    const signal = await loop.generateSignal({ symbol: 'BTC/USDT' })
    expect(signal).not.toHaveProperty('warning')
    expect(signal.mlPrediction.stale).toBe(false)
    expect(await loop.feedbackTracker.recordSignal(signal)).toBe(true)
  })
})
