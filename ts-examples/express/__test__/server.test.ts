import type { PerformanceStats } from 'signalloop'
import { newHome } from '../../__test__/helpers/home'
import { startMarket } from '../../__test__/helpers/market'
import { eventually, serveExample } from '../../__test__/helpers/program'
import type { TradingSignal } from '../services/signalGenerator'

test('the backend generates signals, closes them from its price stream, serves statistics, and ends when told to', async () => {
  const market = await startMarket()
  const env = { SIGNALLOOP_HOME: newHome(), SIGNALLOOP_EXCHANGE_URL: market.url, PRICE_INTERVAL_MS: '25' }
  const backend = await serveExample('express/server.ts', env)
  try {
    const post = async (path: string, body: object) => {
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(backend.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
      return { status: answer.status, body: await answer.json() }
    }
    const get = async (path: string) => (await fetch(backend.url + path)).json()
    const stats = async (): Promise<PerformanceStats['overall']> => (await get('/api/feedback/stats')).overall

    expect(await get('/api/ml/BTCUSDT/1h')).toEqual({ available: false })
    const generated = await post('/api/signals/generate', { pair: 'BTC/USDT' })
    expect(generated.status).toBe(201)
    const signal: TradingSignal = generated.body
    // The answer did not wait for the disk, but the signal gets there.
    await eventually(stats, ({ activeSignals }) => activeSignals === 1)

    market.prices.BTCUSDT = signal.takeProfit!
    await eventually(stats, ({ closedSignals }) => closedSignals === 1)
    expect(await get('/api/feedback/stats?symbol=BTC/USDT&days=1')).toMatchObject({
      overall: { totalSignals: 1, tookProfit: 1, successRate: 100, averageProfitLoss: expect.closeTo(4, 6) },
    })
    // The first outcome stands.
    expect(await post(`/api/signals/${signal.id}/outcome`, { outcome: 'FAILURE' })).toEqual({ status: 404, body: { updated: false } })

    const other: TradingSignal = (await post('/api/signals/generate', { pair: 'ETHUSDT', timeframe: '4h' })).body
    await eventually(stats, ({ totalSignals }) => totalSignals === 2)
    market.prices.ETHUSDT = other.stopLoss!
    expect(await eventually(stats, ({ closedSignals }) => closedSignals === 2)).toMatchObject({ stoppedOut: 1, successRate: 50 })

    const wrong = await fetch(`${backend.url}/api/feedback/stats?days=-1`)
    expect([wrong.status, await wrong.json()]).toMatchObject([400, { code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('-1') }])
  } finally {
    const ended = await backend.stop()
    await market.stop()
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(ended.stdout).toMatch(/: TOOK_PROFIT, 4\.00 %\n.*: STOPPED_OUT, -2\.00 %/)
  }
})
