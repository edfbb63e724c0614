import parsePrometheus from 'parse-prometheus-text-format'
import { SignalLoop, type SignalInput } from 'signalloop'
import { newHome } from './helpers/home'
import { serveExample, type Server } from './helpers/program'

const HOUR = 3_600_000
const signal = (id: string): SignalInput => ({
  id, pair: 'BTC/USDT', signalType: 'BUY', confidence: 70, entryPrice: 100, stopLoss: 98, takeProfit: 104, timestamp: Date.now() - HOUR,
})

async function post(server: Server, path: string, body: object) {
  const answer = await fetch(server.url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const text = await answer.text()
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) }
}

/** A metric's value at these labels. */
function metricValue(text: string, name: string, labels: Record<string, string> = {}): string | undefined {
  const family = parsePrometheus(text).find((one) => one.name === name)
  const matches = (given: Record<string, string> = {}) => Object.entries(labels).every(([key, value]) => given[key] === value)
  return family?.metrics.find((metric) => matches(metric.labels))?.value
}

test('fastify records, assesses, closes, counts, explains its errors, shows its metrics', async () => {
  const server = await serveExample('fastify/server.ts', { SIGNALLOOP_HOME: newHome() })
  try {
    expect((await post(server, '/signals', signal('a'))).status).toBe(201)
    expect(await post(server, '/signals', { ...signal('a'), entryPrice: 101 })).toMatchObject({ status: 409, body: { code: 'ERR_SIGNAL_CONFLICT' } })
    expect(await post(server, '/signals', { ...signal('b'), entryPrice: 'much' })).toMatchObject({
      status: 400, body: { code: 'ERR_INVALID_SIGNAL', message: expect.stringContaining('entryPrice') },
    })
    expect(await post(server, '/assess', signal('c'))).toMatchObject({ status: 200, body: { closed: 0, take: false } })
    expect(await post(server, '/prices', { pair: 'BTCUSDT', price: 105 })).toMatchObject({ status: 200, body: [{ id: 'a', outcome: 'TOOK_PROFIT' }] })
    expect(await (await fetch(`${server.url}/stats`)).json()).toMatchObject({ overall: { closedSignals: 1, successRate: 100 } })
    const metrics = await fetch(`${server.url}/metrics`)
    expect(metrics.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(metricValue(await metrics.text(), 'signalloop_closed_signals_total', { symbol: 'BTCUSDT', outcome: 'TOOK_PROFIT' })).toBe('1')
  } finally {
    expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })
  }
})

test("the metrics are Prometheus' text format, together with prom-client's", async () => {
  const home = newHome()
  const server = await serveExample('metrics/server.ts', { SIGNALLOOP_HOME: home })
  try {
    const loop = new SignalLoop({ home })
    await loop.feedbackTracker.recordSignals([signal('a'), signal('b')])
    await loop.feedbackTracker.updateOutcome({ signalId: 'a', outcome: 'FAILURE', exitPrice: 99 })
    await loop.close()

    const answer = await fetch(`${server.url}/metrics`)
    expect(answer.status).toBe(200)
    const text = await answer.text()
    const families = parsePrometheus(text)
    const names = families.map(({ name }) => name)
    // A name stands once, or Prometheus refuses the whole answer.
    expect(new Set(names).size).toBe(names.length)
    expect(names).toContain('process_cpu_user_seconds_total')
    for (const { name, type, help } of families.filter((one) => one.name.startsWith('signalloop_'))) {
      expect([name, type]).toEqual([name, name.endsWith('_total') ? 'COUNTER' : 'GAUGE'])
      expect(help).toMatch(/.{10}/)
    }
    // What another process did is in it.
    expect(metricValue(text, 'signalloop_open_signals', { symbol: 'BTCUSDT' })).toBe('1')
    expect(metricValue(text, 'signalloop_closed_signals_total', { symbol: 'BTCUSDT', outcome: 'FAILURE' })).toBe('1')
    expect(metricValue(text, 'signalloop_success_ratio', { symbol: 'BTCUSDT' })).toBe('0')
    expect(Number(metricValue(text, 'signalloop_expectancy_ratio', { symbol: 'BTCUSDT' }))).toBeCloseTo(-0.011, 9)
    expect(metricValue(text, 'signalloop_task_attempts', { task: 'retrain' })).toBe('0')
  } finally {
    expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })
  }
})
