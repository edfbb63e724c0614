import type { SignalInput } from 'signalloop'
import type { Server } from './program'

const HOUR = 3_600_000
export const signal = (id: string): SignalInput => ({
  id, pair: 'BTC/USDT', signalType: 'BUY', confidence: 70, entryPrice: 100, stopLoss: 98, takeProfit: 104, timestamp: Date.now() - HOUR,
})

/** The status and the JSON of an answer; with a body it posts. */
export async function ask(server: Server, path: string, body?: object) {
  const asked = body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const answer = await fetch(server.url + path, asked)
  return { status: answer.status, body: JSON.parse(await answer.text()) }
}

/** Records, refuses, closes and counts, by the routes that all servers have. */
export async function expectToLearn(server: Server, stats: string): Promise<void> {
  expect((await ask(server, '/signals', signal('a'))).status).toBeLessThan(300)
  expect(await ask(server, '/signals', { ...signal('b'), entryPrice: 'much' })).toMatchObject({
    status: 400, body: { code: 'ERR_INVALID_SIGNAL', message: expect.stringContaining('entryPrice') },
  })
  expect(await ask(server, '/prices', { pair: 'BTCUSDT', price: 105 })).toMatchObject({ body: [{ id: 'a', outcome: 'TOOK_PROFIT' }] })
  expect(await ask(server, stats)).toMatchObject({ status: 200, body: { overall: { closedSignals: 1, successRate: 100 } } })
}
