import { createHmac } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { AlertConfiguration, ClosedSignal, LoopEvent, SchedulerConfiguration, SignalLoop } from '..'
import { ROOT, runNode } from './helpers/child'
import { failure, newHome, newLoop } from './helpers/home'

/** No task runs by itself. */
const IDLE: SchedulerConfiguration = Object.fromEntries(['watch', 'fetch', 'retrain', 'update', 'evaluate'].map((name) => [name, { enabled: false }]))
const CLI = join(ROOT, 'bin', 'signalloop.js')

interface Seen {
  path: string
  headers: IncomingHttpHeaders
  body: string
}

/** What the server does with the next requests; afterwards it answers 200. */
let plan: ((response: ServerResponse) => unknown)[] = []
let seen: Seen[] = []
let server: Server
let url: string

beforeAll((done) => {
  server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.on('end', () => {
      seen.push({ path: request.url!, headers: request.headers, body })
      const act = plan.shift()
      if (act) act(response)
      else response.end('{"ok":true}')
    })
  })
  server.listen(0, '127.0.0.1', () => {
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    done()
  })
})
beforeEach(() => {
  ;[plan, seen] = [[], []]
})
afterAll((done) => {
  server.close(done)
  server.closeAllConnections()
})

async function until(came: () => boolean, ms = 20_000): Promise<void> {
  const end = Date.now() + ms
  while (!came()) {
    if (Date.now() > end) throw new Error(`it did not come; seen: ${JSON.stringify(seen)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Records a signal and closes it at its target. */
async function close(loop: SignalLoop, id: string): Promise<ClosedSignal[]> {
  const timestamp = Date.now() - 60_000
  const signal = { id, pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 95, takeProfit: 110, timestamp } as const
  await loop.feedbackTracker.recordSignal(signal)
  return loop.feedbackTracker.onPrice('BTCUSDT', 111)
}

const webhook = (): AlertConfiguration => ({ to: 'webhook', url: `${url}/hidden-path`, secret: 'hidden-key', events: ['signalClosed'] })

test('a closed signal is alerted as onEvent tells it, signed, in spite of faults, and only once', async () => {
  const events: LoopEvent[] = []
  const loop = newLoop({ onEvent: (event) => events.push(event) })
  await close(loop, 'before')
  const scheduler = loop.startScheduler({ ...IDLE, alerts: [webhook()] })
  await until(() => existsSync(join(loop.home, 'scheduler', 'alerts.json')))
  plan = [(response) => response.writeHead(500).end('hidden-key'), (response) => response.destroy()]
  const [closed] = await close(loop, 'a')
  await until(() => scheduler.status().alerts![0]!.sent === 1)
  expect(seen).toHaveLength(3)
  const [first, , last] = seen.map(({ body }) => JSON.parse(body) as LoopEvent & { type: 'signalClosed' })
  expect(last).toEqual(first)
  expect(new Set(seen.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
  const told = events.filter((event) => event.type === 'signalClosed' && event.signal.id === 'a')[0]!
  expect(last).toEqual({ ...told, at: last!.at })
  expect(last!.signal).toEqual(closed)
  expect(Math.abs(Date.parse(last!.at) - Date.parse(told.at))).toBeLessThan(10_000)
  const { headers, body } = seen[2]!
  const [, seconds, hex] = /^t=(\d+),v1=(\w+)$/.exec(String(headers['x-signalloop-signature']))!
  expect(hex).toBe(createHmac('sha256', 'hidden-key').update(`${seconds}.${body}`).digest('hex'))
  expect(scheduler.status().alerts).toEqual([
    {
      name: 'webhook', to: 'webhook', sent: 1, waiting: 0, failed: 0,
      lastSentAt: expect.stringMatching(/Z$/), lastFailure: expect.stringContaining(url), lastFailureAt: expect.stringMatching(/Z$/),
    },
  ])
  await scheduler.stop()

  // Closed by a loop without a scheduler while none runs: the next one alerts it, and nothing twice.
  await close(loop, 'b')
  const again = newLoop({ home: loop.home })
  const next = again.startScheduler({ ...IDLE, alerts: [webhook()] })
  await until(() => seen.length > 3)
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(seen.slice(3).map(({ body }) => (JSON.parse(body) as { signal: { id: string } }).signal.id)).toEqual(['b'])
  await next.stop()
  const folder = join(loop.home, 'scheduler')
  const written = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8')).join()
  expect(written + JSON.stringify(events)).not.toContain('hidden')
}, 60_000)

test('many processes of a home send one message, of what happened in any of them', async () => {
  const home = newHome()
  writeFileSync(join(home, 'scheduler_config.json'), JSON.stringify({
    ...IDLE, alerts: [{ to: 'slack', url: `${url}/slack`, events: ['signalClosed', 'taskFinished'], template: { signalClosed: '{{symbol}} {{outcome}} {{realizedR}}' } }],
  }))
  const program = `
    const { SignalLoop } = require(${JSON.stringify(ROOT)})
    const loop = new SignalLoop({ exchangeUrl: 'http://127.0.0.1:9' })
    const scheduler = loop.startScheduler()
    const timestamp = Date.now() - 60_000
    setTimeout(async () => {
      const signal = { id: String(process.pid), pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 95, takeProfit: 110, timestamp }
      await loop.feedbackTracker.recordSignal(signal)
      await loop.feedbackTracker.onPrice('BTCUSDT', 111)
    }, 2000)
    setTimeout(() => loop.close(), 6000)
  `
  const ended = await Promise.all([1, 2, 3].map(() => runNode([], { input: program, env: { SIGNALLOOP_HOME: home } })))
  expect(ended.map(({ code, stderr }) => [code, stderr])).toEqual([[0, ''], [0, ''], [0, '']])
  const lines = seen.flatMap(({ body }) => (JSON.parse(body) as { text: string }).text.split('\n'))
  expect(lines).toEqual(Array<string>(3).fill('BTCUSDT TOOK_PROFIT 2.18'))
}, 60_000)

test('alerts do not keep a process alive, nor its stop waiting, while the server hangs', async () => {
  plan = Array.from({ length: 20 }, () => () => undefined)
  const program = `
    const { SignalLoop } = require(${JSON.stringify(ROOT)})
    const loop = new SignalLoop({ exchangeUrl: 'http://127.0.0.1:9' })
    loop.startScheduler({ ...${JSON.stringify(IDLE)}, alerts: [{ to: 'webhook', url: ${JSON.stringify(url)}, events: ['warning'] }] })
    setTimeout(() => console.log('end'), 1000)
  `
  const { code, stdout, ms } = await runNode([], { input: program, env: { SIGNALLOOP_HOME: newHome() } })
  expect([code, stdout]).toEqual([0, 'end\n'])
  expect(ms).toBeLessThan(8000)
  const loop = newLoop()
  const scheduler = loop.startScheduler({ ...IDLE, alerts: [webhook()] })
  await until(() => existsSync(join(loop.home, 'scheduler', 'alerts.json')))
  await close(loop, 'a')
  await until(() => seen.length === 1)
  const begun = Date.now()
  await scheduler.stop()
  expect(Date.now() - begun).toBeLessThan(5000)
}, 60_000)

test('what is configured wrongly is named, and no secret is shown', async () => {
  const loop = newLoop()
  const error = (alerts: unknown) => failure(() => loop.startScheduler({ ...IDLE, alerts } as SchedulerConfiguration))
  for (const [alerts, message] of [
    [[{ to: 'telegram', token: 'env:SIGNALLOOP_NO_TOKEN', chatId: 1 }], 'startScheduler(): `alerts[0].token` names an environment variable that is not set; got env:SIGNALLOOP_NO_TOKEN'],
    [[{ to: 'slack', url: 'hidden-url' }], 'startScheduler(): `alerts[0].url` must be an http(s) address; got a text that is not shown'],
    [[{ to: 'slack', url: 'hidden', events: ['closed'] }], '`alerts[0].events` must be a list of some of signalClosed, '],
    [[{ to: 'slack', url: 'hidden', template: '{{nothing}}' }], '`alerts[0].template` has no placeholder {{nothing}}; there are '],
    [{ url: 'hidden' }, '`alerts` must be a list of at most 50 destinations'],
  ] as const) {
    const thrown = await error(alerts)
    expect(thrown).toMatchObject({ code: 'ERR_INVALID_CONFIG', message: expect.stringContaining(message) as string })
    expect(thrown.message).not.toContain('hidden')
  }
})

test('the command line tries them out, and the doctor looks for their secrets', async () => {
  const home = newHome()
  const alerts = [
    { to: 'telegram', token: 'env:HIDDEN_TOKEN', chat_id: 7, url },
    { to: 'webhook', name: 'down', url: 'http://127.0.0.1:9/hidden-path' },
  ]
  writeFileSync(join(home, 'scheduler_config.json'), JSON.stringify({ alerts }))
  const env = { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: 'http://127.0.0.1:9' }
  const run = (args: string[], more = {}) => runNode([CLI, ...args], { env: { ...env, ...more } })
  const set = { HIDDEN_TOKEN: 'hidden-token' }
  const both = await run(['alerts', 'test', '--json'], set)
  expect(both.code).toBe(3)
  expect(JSON.parse(both.stdout)).toEqual([
    { name: 'telegram', arrived: true },
    { name: 'down', arrived: false, problem: 'http://127.0.0.1:9: connection refused' },
  ])
  expect(seen.map(({ path, body }) => [path, (JSON.parse(body) as { chat_id: string }).chat_id])).toEqual([['/bothidden-token/sendMessage', '7']])
  expect(await run(['alerts', 'test', '--to', 'telegram'], set)).toMatchObject({ code: 0, stdout: 'telegram: it arrived\n' })
  expect((await run(['alerts', 'test', '--to', 'x'], set)).stderr).toContain('must be one of telegram, down')
  expect((await run(['alerts', 'test'])).stderr).toContain('`alerts[0].token` names an environment variable that is not set')
  const found = async (more = {}) => {
    const { findings } = JSON.parse((await run(['doctor', '--json'], more)).stdout) as { findings: { check: string; state: string; what: string }[] }
    return findings.filter(({ check }) => check === 'alerts')
  }
  expect(await found(set)).toEqual([expect.objectContaining({ state: 'fine', what: expect.stringContaining('telegram, down can be sent to') as string })])
  expect(await found()).toEqual([expect.objectContaining({ state: 'fault', code: 'ERR_INVALID_CONFIG' })])
  const status = await run(['scheduler', 'status'])
  expect(status.stdout).toContain('alerts to telegram (telegram): 0 sent, 0 waiting, 0 failed')
}, 60_000)
