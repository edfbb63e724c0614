import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { request as ask } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { CallToolResult, Progress } from '@modelcontextprotocol/sdk/types.js'
import type { SignalInput, SignalLoop } from '..'
import { HOUR, candles, storeCandles } from './helpers/candles'
import { ROOT, runNode, spawnKept } from './helpers/child'
import { NOWHERE, contents, newHome, newLoop } from './helpers/home'
import { trade } from './helpers/traded'

const SIGNALLOOP = join(ROOT, 'bin', 'signalloop.js')
const READ = ['statistics', 'assess', 'patterns', 'scorecard', 'advise', 'models', 'predict', 'open_signals', 'signal', 'report', 'replay', 'status', 'doctor']
const WRITE = ['record_signal', 'update_outcome', 'amend_signal', 'cancel_signal']
const TOKEN = '0123456789abcdef-token'

const rows = candles(40 * 24)
const price = rows.at(-1)![4]
/** The log of signals. What is kept beside it is an index. */
const logOf = (home: string) => readFileSync(join(home, 'feedback', 'signals.jsonl'), 'utf8')
/** A BUY of now, near the last close. */
const signal = (id: string, more: Partial<SignalInput> = {}) =>
  ({ id, pair: 'BTC/USDT', timeframe: '1h', signalType: 'BUY', confidence: 60, entryPrice: price, stopLoss: 0.98 * price, takeProfit: 1.02 * price, timestamp: new Date().toISOString(), ...more }) as SignalInput
/** BUYs of the last ten days, each at the close of a candle. */
const past = rows.slice(-240).flatMap(([open, , , , close], n) => {
  const given = { id: `past-${n}`, entryPrice: close, stopLoss: 0.99 * close, takeProfit: 1.01 * close, timestamp: new Date(open + HOUR).toISOString() }
  return n % 8 === 0 ? [signal(given.id, given as Partial<SignalInput>)] : []
})

let loop: SignalLoop
/** A client of a server that only reads the home of `loop`. */
let shared: Client
const clients: Client[] = []

/** A home with closed, open and waiting signals, candles and a model. */
async function tradedLoop(): Promise<SignalLoop> {
  const traded = newLoop()
  writeFileSync(join(traded.home, 'training_config.json'), JSON.stringify({ symbols: ['BTCUSDT'], timeframes: ['1h'], trees: 10 }))
  storeCandles(traded.home, rows)
  await trade(traded, 30)
  await traded.feedbackTracker.recordSignal(signal('open'))
  await traded.feedbackTracker.recordSignal(signal('waiting', { entryType: 'limit', entryPrice: 0.99 * price }))
  await traded.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })
  // When a running loop learns depends on how busy the machine is. A new one learns from the same files as the server.
  await traded.close()
  return newLoop({ home: traded.home })
}

beforeAll(async () => {
  loop = await tradedLoop()
  shared = await overStdio(loop.home)
}, 120_000)

afterAll(() => Promise.all(clients.map((client) => client.close())))

const environment = (more: Record<string, string> = {}) => ({ ...process.env, SIGNALLOOP_EXCHANGE_URL: NOWHERE, ...more }) as Record<string, string>

async function connected(transport: ConstructorParameters<typeof StdioClientTransport>[0] | URL, token?: string): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' })
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  await client.connect(transport instanceof URL ? new StreamableHTTPClientTransport(transport, { requestInit: { headers } }) : new StdioClientTransport(transport))
  clients.push(client)
  return client
}

/** A client of a server of its own over standard input and output. */
const overStdio = (home: string, ...args: string[]) =>
  connected({ command: process.execPath, args: [SIGNALLOOP, 'mcp', '--home', home, ...args], env: environment(), stderr: 'ignore' })

/** A server over HTTP, and its address. */
async function listening(home: string, args: string[] = [], env: Record<string, string> = {}) {
  const child = spawnKept(process.execPath, [SIGNALLOOP, 'mcp', '--http', '0', '--home', home, '--json', ...args], { env: environment(env), stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  for await (const line of createInterface({ input: child.stdout! })) {
    text += line
    if (line === '}') break
  }
  return { child, url: new URL(JSON.parse(text).url) }
}

const called = async (client: Client, name: string, args: object = {}) => (await client.callTool({ name, arguments: { ...args } })) as CallToolResult
/** What a tool answers as data; the client has held it against the tool's schema. */
async function answered(client: Client, name: string, args: object = {}): Promise<any> {
  const { isError, content, structuredContent } = await called(client, name, args)
  const [words, data] = content as { text: string }[]
  expect([isError, words!.text]).toEqual([false, expect.stringMatching(/\w{3}/)])
  // Clients that read text only get the same.
  expect(JSON.parse(data!.text)).toEqual(structuredContent)
  return structuredContent
}
/** The error of a tool as data. */
async function failed(client: Client, name: string, args: object = {}): Promise<{ code: string; message: string; field?: string; value?: string; allowed?: string }> {
  const { isError, content } = await called(client, name, args)
  const [words, data] = content as { text: string }[]
  const { error } = JSON.parse(data!.text)
  expect([isError, words!.text]).toEqual([true, `${error.message} [${error.code}]`])
  return error
}
const asJson = (value: unknown) => JSON.parse(JSON.stringify(value))

test('without --write it lists what only reads, with schemas, hints, resources and prompts', async () => {
  const client = await overStdio(loop.home)
  expect(client.getServerVersion()).toMatchObject({ name: 'signalloop', version: JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version })
  expect(client.getInstructions()).toMatch(/95 % interval/)
  const { tools } = await client.listTools()
  expect(tools.map(({ name }) => name)).toEqual(READ)
  for (const { name, inputSchema, outputSchema, annotations, description } of tools) {
    expect([name, inputSchema.type, outputSchema?.type, annotations?.readOnlyHint, annotations?.openWorldHint]).toEqual([name, 'object', 'object', name !== 'replay', name === 'doctor'])
    expect(description!.length).toBeGreaterThan(80)
  }
  const { resources } = await client.listResources()
  expect(resources.map(({ uri }) => uri)).toEqual(['signalloop://report', 'signalloop://report/data', 'signalloop://configuration', 'signalloop://docs/figures'])
  const { prompts } = await client.listPrompts()
  expect(prompts.map(({ name }) => name)).toEqual(['review-week', 'worth-taking', 'find-weaknesses'])
  const { messages } = await client.getPrompt({ name: 'worth-taking', arguments: { signal: 'BUY SOLUSDT at 150' } })
  expect((messages[0]!.content as { text: string }).text).toContain('BUY SOLUSDT at 150')
})

test('what it answers is what the JavaScript API answers, and reading changes nothing', async () => {
  const client = await overStdio(loop.home)
  const tracker = loop.feedbackTracker
  const before = logOf(loop.home)

  const { exposure, ...statistics } = await answered(client, 'statistics', { days: 36_500 })
  const { exposure: lasting, ...own } = await tracker.getStats(undefined, undefined, 36_500)
  expect(statistics).toEqual(asJson(own))
  expect([statistics.overall.closedSignals, exposure.from]).toEqual([60, lasting!.from])
  expect((await answered(client, 'statistics', { all: true })).overall).toEqual(statistics.overall)
  const { exposure: _, ...ofMarket } = await answered(client, 'statistics', { symbol: 'ETH/USDT', timeframe: '1h', days: 36_500 })
  const { exposure: __, ...ownOfMarket } = await tracker.getStats('ETHUSDT', '1h', 36_500)
  expect(ofMarket).toEqual(asJson(ownOfMarket))

  const question = signal('asked', { indicators: { rsi: 40 } })
  expect(await answered(client, 'assess', { signal: question })).toEqual(asJson(await tracker.assess(question)))
  expect((await answered(client, 'patterns')).patterns).toEqual(asJson(await tracker.patterns()))
  expect((await answered(client, 'patterns')).patterns.length).toBeGreaterThan(0)
  expect(await answered(client, 'scorecard')).toEqual(asJson(await tracker.scorecard()))
  expect(await answered(client, 'advise', { symbol: 'BTCUSDT' })).toEqual(asJson(await tracker.advise({ symbol: 'BTCUSDT' })))
  expect(await answered(client, 'predict', { symbol: 'BTCUSDT' })).toEqual(asJson(await loop.predict({ symbol: 'BTCUSDT' })))

  const ageless = (models: { ageHours?: number }[]) => models.map(({ ageHours, ...model }) => ({ ...model, known: ageHours !== undefined }))
  const { models } = await answered(client, 'models')
  expect(ageless(models)).toEqual(ageless(asJson(await loop.models())))
  expect([models.length, (await answered(client, 'models', { symbol: 'ETHUSDT' })).models]).toEqual([1, []])

  const open = await answered(client, 'open_signals')
  expect(open).toEqual({ total: 2, signals: asJson([await tracker.getSignal('open'), await tracker.getSignal('waiting')]) })
  expect((await answered(client, 'open_signals', { limit: 1 })).signals.map(({ signal: { id } }: any) => id)).toEqual(['waiting'])
  for (const id of ['open', 'traded-0']) expect(await answered(client, 'signal', { id })).toEqual(asJson(await tracker.getSignal(id)))

  const status = await answered(client, 'status')
  expect(status).toMatchObject({ home: loop.home, write: false, warnings: loop.warnings, conservativeMode: statistics.conservativeMode })
  expect(logOf(loop.home)).toEqual(before)

  const { resource, ...report } = await answered(client, 'report')
  const { path, bytes, ...written } = await loop.report({ out: join(newHome(), 'report.html') })
  expect([report, resource]).toEqual([asJson(written), 'signalloop://report'])
  const [page] = (await client.readResource({ uri: resource })).contents as { text: string; mimeType: string }[]
  expect([page!.mimeType, page!.text.slice(0, 15)]).toEqual(['text/html', '<!doctype html>'])
  const [data] = (await client.readResource({ uri: 'signalloop://report/data' })).contents as { text: string }[]
  expect(JSON.parse(data!.text).signals.figures.closedSignals).toBe(60)

  const found = await answered(client, 'doctor')
  // The exchange of this test refuses every connection.
  expect(found.findings.map(({ check }: any) => check)).toEqual(expect.arrayContaining(['home', 'signals', 'exchange']))
  expect(found.healthy).toBe(false)
}, 60_000)

test('words say how many outcomes a figure is of, its interval, and what it must be compared with', async () => {
  const client = await overStdio(loop.home)
  const words = async (name: string, args = {}) => ((await called(client, name, args)).content[0] as { text: string }).text
  expect(await words('statistics', { all: true })).toMatch(/^All signals: \d+ of 60 closed signals succeeded: [\d.]+ % \(95 % interval [\d.]+–[\d.]+ %\); 1 open\. The break-even rate is [\d.]+ %/)
  expect(await words('assess', { signal: signal('asked') })).toMatch(/95 % interval .*; base rate .*; it breaks even at .* It rests on 60 closed signals, worth \d+ independent outcomes\./)
  expect(await words('predict', { symbol: 'BTCUSDT' })).toMatch(/^BTCUSDT 1h: (BUY|SELL|HOLD)\. .*base rates BUY [\d.]+ %, SELL [\d.]+ %\./)
  const few = newLoop()
  await trade(few, 3)
  const other = await overStdio(few.home)
  expect(((await called(other, 'statistics', { all: true })).content[0] as { text: string }).text).toContain('With 6 closed signals, most of this may be luck.')
})

test('the configuration is told without secrets', async () => {
  const { home } = newLoop()
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: ['SOLUSDT'], exchange_url: 'http://me:hidden-word@127.0.0.1:9', fee_bps: 7 }))
  const client = await overStdio(home)
  const [told] = (await client.readResource({ uri: 'signalloop://configuration' })).contents as { text: string }[]
  expect(JSON.parse(told!.text)).toMatchObject({ symbols: ['SOLUSDT'], feeBps: 7, scheduler: { enabled: expect.any(Boolean) } })
  expect(told!.text).not.toContain('hidden-word')
  const [figures] = (await client.readResource({ uri: 'signalloop://docs/figures' })).contents as { text: string }[]
  expect(figures!.text).toContain('Sharpe')
})

test('without --write nothing is written, and it says what to do', async () => {
  const client = await overStdio(loop.home)
  const before = logOf(loop.home)
  for (const name of WRITE) {
    const { code, message } = await failed(client, name, { ...signal('x'), signalId: 'open' })
    expect([code, message]).toEqual(['ERR_INVALID_ARGUMENT', expect.stringContaining('start it with `signalloop mcp --write`')])
  }
  expect(logOf(loop.home)).toEqual(before)
})

test('with --write it records, closes, amends and cancels, beside a backend that has the home open', async () => {
  const backend = newLoop()
  await trade(backend, 2)
  const client = await overStdio(backend.home, '--write')
  const { tools } = await client.listTools()
  expect(tools.map(({ name }) => name)).toEqual([...READ, ...WRITE])
  const hints = tools.slice(-4).map(({ annotations: a }) => [a!.readOnlyHint, a!.destructiveHint, a!.idempotentHint])
  expect(hints).toEqual([[false, false, true], [false, true, false], [false, true, false], [false, true, true]])

  const tracker = backend.feedbackTracker
  const given = signal('by-agent')
  for (let again = 0; again < 2; again++) expect(await answered(client, 'record_signal', given)).toEqual({ recorded: true, id: 'by-agent' })
  expect(await tracker.getSignal('by-agent')).toMatchObject({ status: 'OPEN', signal: { id: 'by-agent', pair: 'BTCUSDT' } })
  expect(await failed(client, 'record_signal', { ...given, confidence: 10 })).toMatchObject({ code: 'ERR_SIGNAL_CONFLICT', field: 'confidence' })

  expect(await answered(client, 'amend_signal', { signalId: 'by-agent', stopLoss: 0.97 * price, reason: 'wider' })).toEqual({ changed: true })
  expect((await tracker.getSignal('by-agent'))!.position!.stopLoss).toBe(0.97 * price)
  expect(await answered(client, 'update_outcome', { signalId: 'by-agent', outcome: 'SUCCESS', exitPrice: 1.01 * price })).toEqual({ changed: true })
  expect(await answered(client, 'update_outcome', { signalId: 'by-agent', outcome: 'FAILURE', exitPrice: 0.9 * price })).toEqual({ changed: false })
  expect((await tracker.getSignal('by-agent'))!.closed).toMatchObject({ outcome: 'SUCCESS', profitLossPercent: expect.closeTo(1, 6) })
  expect((await tracker.getStats()).overall.closedSignals).toBe(1)

  await tracker.recordSignal(signal('wait', { entryType: 'limit', entryPrice: 0.99 * price }))
  expect(await answered(client, 'cancel_signal', { signalId: 'wait', reason: 'late' })).toEqual({ changed: true })
  expect((await tracker.getSignal('wait'))!.status).toBe('CANCELLED')
  expect(await answered(client, 'cancel_signal', { signalId: 'nobody' })).toEqual({ changed: false })
})

test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
  ['statistics', { days: -1 }, { field: 'days', value: '-1', allowed: 'must be a number of days above 0, at most 36500' }],
  ['statistics', { days: 1, all: true }, { field: 'days' }],
  ['statistics', { symbl: 'BTCUSDT' }, { field: 'arguments', message: expect.stringContaining('has no member `symbl`') }],
  ['statistics', { timeframe: '7x' }, { field: 'timeframe' }],
  ['assess', {}, { field: 'signal', value: 'nothing' }],
  ['assess', { signal: 'BUY' }, { field: 'signal', value: '"BUY"' }],
  ['assess', { signal: { ...signal('x'), signalType: 'HOLD' } }, { code: 'ERR_INVALID_SIGNAL' }],
  ['assess', { signal: { ...signal('x'), stopLoss: 2 * price } }, { code: 'ERR_INVALID_SIGNAL', field: 'stopLoss' }],
  ['scorecard', { since: 'yesterday' }, { field: 'since', value: '"yesterday"' }],
  ['predict', {}, { field: 'symbol', value: 'nothing' }],
  ['predict', { symbol: 'ETHUSDT' }, { code: 'ERR_NO_DATA', message: expect.stringContaining('signalloop fetch --symbol ETHUSDT') }],
  ['open_signals', { limit: 501 }, { field: 'limit', value: '501' }],
  ['signal', { id: 'nobody' }, { field: 'id', value: 'nobody' }],
  ['replay', { signals: [] }, { field: 'signals' }],
  ['replay', { signals: [{ ...signal('x'), entryPrice: -1 }] }, { code: 'ERR_INVALID_SIGNAL', field: 'entryPrice' }],
  ['replay', { candles: '/etc' }, { message: expect.stringContaining('has no member `candles`') }],
  ['replay', { without: ['everything'] }, { field: 'without' }],
])('a wrong argument of %s is named: %j', async (name, args, expected) => {
  expect(await failed(shared, name, args)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', ...expected })
})

test('faults of the protocol are errors of the protocol', async () => {
  const client = await overStdio(loop.home)
  await expect(client.callTool({ name: 'train', arguments: {} })).rejects.toMatchObject({ code: -32602, message: expect.stringContaining('there is no tool `train`') })
  await expect(client.readResource({ uri: 'file:///etc/passwd' })).rejects.toMatchObject({ code: -32002 })
  await expect(client.getPrompt({ name: 'worth-taking' })).rejects.toMatchObject({ code: -32602 })
})

test('a home that does not exist, and one without signals, say so', async () => {
  const nowhere = join(newHome(), 'missing')
  const client = await overStdio(nowhere, '--write')
  for (const [name, args] of [['statistics', {}], ['record_signal', signal('x')], ['status', {}]] as const) {
    expect(await failed(client, name, args)).toMatchObject({ code: 'ERR_NO_DATA', message: expect.stringMatching(/missing does not exist: start `signalloop mcp --home FOLDER`/) })
  }
  expect((await answered(client, 'doctor')).healthy).toBe(false)
  expect(contents(nowhere)).toEqual({})

  const empty = newHome()
  const other = await overStdio(empty)
  expect(await failed(other, 'statistics')).toMatchObject({ code: 'ERR_NO_DATA', message: expect.stringContaining('no signal was ever recorded') })
  expect(contents(empty)).toEqual({})
})

test('a replay equals that of the API, tells progress, and ends when it is cancelled', async () => {
  const client = await overStdio(loop.home)
  const wanted = { signals: past, symbols: ['BTCUSDT'], timeframes: ['1h'] as const, without: ['models'] as const }
  const progress: Progress[] = []
  const replayed = (await client.callTool({ name: 'replay', arguments: wanted }, undefined, { onprogress: (news) => progress.push(news) })) as CallToolResult
  const own = await loop.replay(wanted)
  const { summary, verdict, looks, leftOut } = replayed.structuredContent as any
  expect([summary, verdict.advice, verdict.signals, leftOut]).toEqual(asJson([own.summary, own.verdict.advice, own.verdict.signals, own.leftOut]))
  expect([summary.all.signals, looks.looks, own.looks.looks]).toEqual([past.length, 1, 2])
  for (const { progress: part, total } of progress) expect([part >= 0 && part <= 1, total]).toEqual([true, 1])

  const abort = new AbortController()
  // With models it takes long.
  const slow = client.callTool({ name: 'replay', arguments: { signals: past } }, undefined, { signal: abort.signal, onprogress: () => abort.abort('enough'), timeout: 60_000 })
  await expect(slow).rejects.toThrow(/enough/)
  // There is one replay at a time, so this one begins only after the other has ended.
  let next: CallToolResult
  do next = await called(client, 'replay', wanted)
  while (next.isError && (next.content[0] as { text: string }).text.includes('[ERR_TASK_BUSY]'))
  expect((next.structuredContent as any).summary).toEqual(summary)
  expect(await failed(client, 'replay', { signals: past, maxSeconds: 0.01 })).toMatchObject({ code: 'ERR_CANCELLED', message: expect.stringContaining('longer than 0.01 seconds') })
}, 120_000)

test('over HTTP two clients ask at once', async () => {
  const { child, url } = await listening(loop.home)
  expect(url.href).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/)
  const both = await Promise.all([connected(url), connected(url)])
  const asked = both.flatMap((client) => Array.from({ length: 10 }, () => answered(client, 'statistics', { all: true })))
  const api = await loop.feedbackTracker.getStats(undefined, undefined, 36_500)
  for (const { overall } of await Promise.all(asked)) expect(overall).toEqual(asJson(api.overall))
  expect(await failed(both[0]!, 'record_signal', signal('x'))).toMatchObject({ message: expect.stringContaining('--write') })
  child.kill('SIGTERM')
  expect(await once(child, 'close')).toEqual([0, null])
})

/** The status of a request, with headers that `fetch` forbids. */
const status = (url: URL, headers: Record<string, string>, path = url.pathname): Promise<number> =>
  new Promise((resolve, reject) => {
    const type = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', connection: 'close' }
    const sent = ask({ host: url.hostname, port: url.port, path, method: 'POST', headers: { ...type, ...headers } }, (response) => {
      response.resume()
      resolve(response.statusCode!)
    })
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } }
    sent.once('error', reject).end(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }))
  })

test('over HTTP other sites, other names and clients without the token get nothing', async () => {
  const open = await listening(loop.home, ['--allowed-host', 'agents.example'])
  const here = open.url.host
  for (const [headers, expected] of [
    [{}, 200],
    [{ host: 'agents.example' }, 200],
    [{ host: 'evil.example' }, 421],
    [{ origin: `http://${here}` }, 200],
    [{ origin: 'http://evil.example' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
  ] as const) {
    expect([headers, await status(open.url, headers)]).toEqual([headers, expected])
  }
  expect(await status(open.url, {}, '/')).toBe(404)

  const closed = await listening(loop.home, [], { SIGNALLOOP_MCP_TOKEN: TOKEN })
  expect(await status(closed.url, {})).toBe(401)
  expect(await status(closed.url, { authorization: `Bearer ${TOKEN.slice(1)}` })).toBe(401)
  await expect(connected(closed.url)).rejects.toThrow()
  const client = await connected(closed.url, TOKEN)
  expect((await answered(client, 'status')).write).toBe(false)
})

test.each([
  ['0.0.0.0:0', {}, 1, /must be an address of this machine alone, .* Set SIGNALLOOP_MCP_TOKEN; got 0\.0\.0\.0 \[ERR_INVALID_ARGUMENT\]/],
  ['0', { SIGNALLOOP_MCP_TOKEN: 'short' }, 1, /`token` must have at least 16 characters/],
  ['example.com:80', {}, 2, /must be a port such as 4601/],
])('--http %s with %j is refused', async (address, env, code, problem) => {
  const ended = await runNode([SIGNALLOOP, 'mcp', '--http', address, '--home', loop.home], { env: environment(env) })
  expect([ended.code, ended.stdout, ended.stderr]).toEqual([code, '', expect.stringMatching(problem)])
  expect(ended.stderr).not.toContain('short')
})

test('--json without --http is refused: standard output belongs to the protocol', async () => {
  const ended = await runNode([SIGNALLOOP, 'mcp', '--json', '--home', loop.home], { env: environment() })
  expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining('standard output belongs to the protocol')])
})

/** The messages of a client by hand. */
const lines = (...messages: object[]) => messages.map((message) => `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`).join('')
const HELLO = lines(
  { id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } } },
  { method: 'notifications/initialized' },
)

test('nothing but the protocol is on standard output, whatever comes in, and a closed input ends it with code 0', async () => {
  const { home } = newLoop()
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ unknown_key: 1 }))
  const input = `${HELLO}not JSON\n{"jsonrpc":"2.0","id":9}\n\n${lines({ id: 2, method: 'tools/list' }, { id: 3, method: 'no/such' }, { id: 4, method: 'tools/call', params: { name: 'status', arguments: {} } })}`
  const ended = await runNode([SIGNALLOOP, 'mcp', '--home', home], { env: environment(), input })
  const answers = ended.stdout.trim().split('\n').map((line) => JSON.parse(line))
  expect([ended.code, answers.every(({ jsonrpc }) => jsonrpc === '2.0')]).toEqual([0, true])
  const of = (id: number) => answers.find((answer) => answer.id === id)
  expect([of(1).result.serverInfo.name, of(2).result.tools.length, of(3).error.code, of(4).result.structuredContent.home]).toEqual(['signalloop', READ.length, -32601, home])
  // The warning about the configuration is on standard error.
  expect(ended.stderr).toMatch(/warning: .*unknown_key/)
  const silent = await runNode([SIGNALLOOP, 'mcp', '--home', home], { env: environment() })
  expect([silent.code, silent.stdout]).toEqual([0, ''])
})

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it with code 0, also while a replay runs', async (name) => {
  const child = spawnKept(process.execPath, [SIGNALLOOP, 'mcp', '--home', loop.home], { env: environment(), stdio: ['pipe', 'pipe', 'ignore'] })
  const answers = createInterface({ input: child.stdout! })
  const _meta = { progressToken: 'news' }
  child.stdin!.write(HELLO + lines({ id: 2, method: 'tools/call', params: { name: 'replay', arguments: { signals: past }, _meta } }))
  for await (const line of answers) if (JSON.parse(line).method === 'notifications/progress') break
  const closed = once(child, 'close')
  child.kill(name)
  expect(await closed).toEqual([0, null])
}, 60_000)

test('the configurations in the documentation start a server', async () => {
  const blocks = [...readFileSync(join(ROOT, 'docs', 'agents.md'), 'utf8').matchAll(/^```text\n(\{[\s\S]*?)^```$/gm)].map(([, text]) => JSON.parse(text!))
  expect(blocks.map((block) => Object.keys(block))).toEqual([['mcpServers'], ['servers']])
  for (const { command, args } of blocks.map(({ mcpServers, servers }) => (mcpServers ?? servers).signalloop)) {
    const here = (arg: string) => arg.replace(/^.*\/node_modules\/signalloop/, ROOT).replace(/^.*\/ml$/, loop.home)
    expect(command).toBe('node')
    const client = await connected({ command: process.execPath, args: args.map(here), env: environment(), stderr: 'ignore' })
    expect(await answered(client, 'status')).toMatchObject({ home: loop.home, write: false })
  }
})
