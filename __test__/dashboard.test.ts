import { once } from 'node:events'
import { createServer, request as ask, type IncomingHttpHeaders, type Server } from 'node:http'
import { connect, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import express from 'express'
import fastify from 'fastify'
import { close, dashboard, feedbackTracker, type DashboardOptions, type SignalLoop } from '..'
import { ROOT, runNode, spawnKept } from './helpers/child'
import { NOWHERE, contents, newHome, newLoop } from './helpers/home'
import { trade } from './helpers/traded'

const servers: Server[] = []

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((closed) => server.close(closed))))
})

async function listening(server: Server): Promise<number> {
  servers.push(server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

interface Got {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** Not `fetch`: that forbids some of the headers asked with here. */
const get = (port: number, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Got> =>
  new Promise((resolve, reject) => {
    const asked = ask({ port, host: '127.0.0.1', path, method, headers: { connection: 'close', ...headers } }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text) => (body += text))
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }))
    })
    asked.once('error', reject).end()
  })

/** The live view as each kind of backend serves it, at `/learning`. */
const BACKENDS: Record<string, (loop: SignalLoop, options?: DashboardOptions) => Promise<number>> = {
  express: (loop, options) => {
    const app = express()
    // As a backend that lets other sites read the rest of it.
    app.use((_req, res, next) => {
      res.setHeader('Access-Control-Allow-Origin', '*')
      next()
    })
    app.use('/learning', loop.dashboard(options))
    return listening(createServer(app))
  },
  http: (loop, options) => {
    const view = loop.dashboard(options)
    return listening(createServer((req, res) => (req.url!.startsWith('/learning') ? view(req, res) : res.writeHead(404).end())))
  },
  fastify: async (loop, options) => {
    const view = loop.dashboard(options)
    const app = fastify()
    app.all('/learning', (request, reply) => {
      reply.hijack()
      view(request.raw, reply.raw)
    })
    await app.ready()
    return listening(app.server)
  },
}

describe.each(Object.keys(BACKENDS))('mounted in %s', (backend) => {
  test('serves the page and its data, and tells when nothing is new', async () => {
    const loop = newLoop()
    await trade(loop, 3)
    const port = await BACKENDS[backend]!(loop)
    const page = await get(port, '/learning')
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(page.body).toContain('<body data-place="served">')

    const data = await get(port, '/learning?data')
    expect(data.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(JSON.parse(data.body).signals.figures.closedSignals).toBe(6)
    const known = { 'if-none-match': data.headers.etag! }
    expect(await get(port, '/learning?data', known)).toMatchObject({ status: 304, body: '' })

    await loop.feedbackTracker.recordSignal({ id: 'new', pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 100, takeProfit: 101, timestamp: Date.now() - 1000 })
    await loop.feedbackTracker.onPrice('BTCUSDT', 101)
    let news = await get(port, '/learning?data', known)
    for (let tries = 0; tries < 100 && news.status === 304; tries++) {
      await new Promise((wait) => setTimeout(wait, 50))
      news = await get(port, '/learning?data', known)
    }
    expect(JSON.parse(news.body).signals.figures.closedSignals).toBe(7)
    expect((await get(port, '/elsewhere')).status).toBe(404)
  })

  test('is read only, for nobody else, and not to be framed', async () => {
    const loop = newLoop()
    const port = await BACKENDS[backend]!(loop)
    const before = contents(loop.home)
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const { status, headers } = await get(port, '/learning', {}, method)
      expect([method, status, headers.allow]).toEqual([method, 405, 'GET, HEAD'])
    }
    const { status, body, headers } = await get(port, '/learning', {}, 'HEAD')
    expect([status, body]).toEqual([200, ''])
    expect(headers).toMatchObject({
      'content-security-policy': expect.stringMatching(/^default-src 'none'; script-src 'sha256-.*frame-ancestors 'none'$/),
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      'cross-origin-resource-policy': 'same-origin',
    })
    expect(headers['access-control-allow-origin']).toBeUndefined()
    const elsewhere = { origin: 'https://evil.example' }
    const script = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' }
    const frame = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' }
    for (const from of [elsewhere, script, frame]) {
      for (const path of ['/learning', '/learning?data']) {
        const refused = await get(port, path, from)
        expect([refused.status, refused.body]).toEqual([403, 'other sites may not read this\n'])
      }
    }
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
    expect((await get(port, '/learning', link)).status).toBe(200)
    expect((await get(port, '/learning?data', { 'sec-fetch-site': 'same-origin' })).status).toBe(200)
    expect(contents(loop.home)).toEqual(before)
  })
})

describe.each(Object.keys(BACKENDS))('the name that it is asked by, in %s', (backend) => {
  const answers = async (port: number, hosts: string[], path = '/learning') => {
    const asked = await Promise.all(hosts.map((host) => get(port, path, { host })))
    return asked.map(({ status }, n) => [hosts[n], status])
  }

  test('addresses and localhost are answered, a name that anybody could let point here is not', async () => {
    const port = await BACKENDS[backend]!(newLoop())
    const own = [`127.0.0.1:${port}`, `localhost:${port}`, 'LOCALHOST', '[::1]:1', '10.1.2.3']
    expect(await answers(port, own)).toEqual(own.map((host) => [host, 200]))
    const others = ['evil.example', `evil.example:${port}`, 'localhost.evil.example', '127.0.0.1.evil.example', 'ops.example.com']
    for (const path of ['/learning', '/learning?data']) {
      expect(await answers(port, others, path)).toEqual(others.map((host) => [host, 421]))
    }
    const refused = await get(port, '/learning?data', { host: 'Ops.example.com', 'x-forwarded-host': 'localhost' })
    expect(refused.body).toContain("dashboard({ allowedHosts: ['ops.example.com'] })")
    expect(refused.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect((await get(port, '/learning', { host: 'evil.example' }, 'POST')).status).toBe(421)
  })

  test('names that are allowed are answered, and no others', async () => {
    const port = await BACKENDS[backend]!(newLoop(), { allowedHosts: ['ops.example.com', 'Other.example:8443'] })
    const allowed = ['ops.example.com', 'OPS.example.com:3000', 'other.example:8443', 'localhost']
    expect(await answers(port, allowed)).toEqual(allowed.map((host) => [host, 200]))
    const others = ['example.com', 'a.ops.example.com', 'other.example', 'other.example:80']
    expect(await answers(port, others)).toEqual(others.map((host) => [host, 421]))
    // A browser that asks from the page itself.
    const same = { host: 'ops.example.com', origin: 'https://ops.example.com', 'sec-fetch-site': 'same-origin' }
    expect((await get(port, '/learning?data', same)).status).toBe(200)
  })
})

test('HTTP/2 has its name elsewhere', async () => {
  const view = newLoop().dashboard({ allowedHosts: ['ops.example.com'] })
  const server = createHttp2Server((request, response) => view(request, response))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  try {
    for (const [name, expected] of [['ops.example.com', 200], ['evil.example', 421]] as const) {
      const stream = session.request({ ':path': '/', ':authority': name })
      const [headers] = await once(stream, 'response')
      expect([name, headers[':status']]).toEqual([name, expected])
      await once(stream.resume(), 'close')
    }
  } finally {
    await new Promise<void>((closed) => session.close(closed))
    await new Promise((closed) => server.close(closed))
  }
})

test('what is no host name is refused where the view is made', () => {
  const loop = newLoop()
  for (const allowedHosts of ['ops.example.com', [1], ['*'], ['https://ops.example.com'], ['ops.example.com/x'], [''], {}]) {
    for (const make of [(options: unknown) => loop.dashboard(options as DashboardOptions), dashboard as (options: unknown) => unknown]) {
      expect(() => make({ allowedHosts })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('`allowedHosts`') }))
    }
  }
  expect(() => loop.dashboard({ allowedHost: [] } as DashboardOptions)).toThrow(/has no member `allowedHost`/)
  expect(() => loop.dashboard('ops.example.com' as DashboardOptions)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }))
})

test('in express, what lies below the mount point is left to others', async () => {
  const app = express().use('/learning', newLoop().dashboard())
  app.get('/learning/more', (_req, res) => void res.send('mine'))
  const port = await listening(createServer(app))
  expect((await get(port, '/learning/more')).body).toBe('mine')
  expect((await get(port, '/learning/')).body).toContain('<!doctype html>')
  expect((await get(port, '/learning/nothing')).status).toBe(404)
})

/** Ways to mount it under a prefix that the handler itself never hears of, and the addresses at which it is to answer. */
const PREFIXED: [string, string[], (loop: SignalLoop) => Promise<number>][] = [
  ['a router of express within another', ['/api/learning', '/api/learning/'], (loop) => {
    const api = express.Router().use('/learning', loop.dashboard())
    return listening(createServer(express().use('/api', api)))
  }],
  ['a route of express', ['/learning', '/learning/'], (loop) => listening(createServer(express().get('/learning', loop.dashboard())))],
  ['a plugin of fastify', ['/api/learning', '/api/learning/'], async (loop) => {
    const [app, view] = [fastify(), loop.dashboard()]
    app.register(async (plugin) => void plugin.get('/', (request, reply) => view(request.raw, reply.hijack().raw)), { prefix: '/api/learning' })
    await app.ready()
    return listening(app.server)
  }],
]

test.each(PREFIXED)('under a prefix, by %s', async (_how, addresses, mount) => {
  const port = await mount(newLoop())
  for (const address of addresses) {
    const page = await get(port, address)
    expect([address, page.status, page.body.slice(0, 15)]).toEqual([address, 200, '<!doctype html>'])
    const head = await get(port, address, {}, 'HEAD')
    expect([head.status, head.body, head.headers['content-length']]).toEqual([200, '', `${Buffer.byteLength(page.body)}`])
    // The page asks for `?data`, relative to its own address.
    const { headers, body } = await get(port, `${address}?data`)
    expect(JSON.parse(body)).toMatchObject({ signals: null })
    // A proxy that compresses makes the tag a weak one.
    expect((await get(port, `${address}?data`, { 'if-none-match': `W/${headers.etag}` })).status).toBe(304)
    expect((await get(port, address, { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' })).status).toBe(403)
  }
})

test('of the default loop, whichever that is at the moment', async () => {
  const port = await listening(createServer(dashboard()))
  const closed = async () => JSON.parse((await get(port, '/?data')).body).home
  const [first, second] = [newHome(), newHome()]
  process.env.SIGNALLOOP_HOME = first
  expect(await closed()).toBe(first)
  await feedbackTracker.getStats()
  await close()
  process.env.SIGNALLOOP_HOME = second
  expect(await closed()).toBe(second)
  await close()
  delete process.env.SIGNALLOOP_HOME
})

test('the address says which signals, and what is wrong with it is told', async () => {
  const loop = newLoop()
  await trade(loop, 30)
  const port = await listening(createServer(loop.dashboard()))
  const of = async (query: string) => JSON.parse((await get(port, `/?data&${query}`)).body)
  const closed = async (query: string) => (await of(query)).signals.figures.closedSignals
  const all = await of('')
  expect([all.filter, all.signals.symbols, all.signals.strategies]).toEqual([{}, ['BTCUSDT', 'ETHUSDT'], []])
  const eth = await loop.feedbackTracker.getStats('ETHUSDT', undefined, 36_500)
  const only = await of('symbol=ETH%2FUSDT')
  expect([only.filter, only.signals.figures]).toEqual([{ symbol: 'ETHUSDT' }, JSON.parse(JSON.stringify(eth.overall))])
  expect(only.signals.listed.closed.every(({ symbol }: { symbol: string }) => symbol === 'ETHUSDT')).toBe(true)
  // Two a day, which close six hours later: those of ten days.
  expect(await closed('since=2025-06-02&until=2025-06-11')).toBe(20)
  expect([await closed('signalType=BUY'), await closed('signalType=SELL'), await closed('strategy=nobody'), await closed('symbol=XRPUSDT')]).toEqual([60, 0, 0, 0])
  for (const [query, named] of [['symbl=ETHUSDT', '`symbl`'], ['signalType=HOLD', '`signalType` must be BUY or SELL'], ['since=soon', '`since`'], ['since=2025-06-02&until=2025-06-01', '`until` must be after `since`']]) {
    for (const address of [`/?${query}`, `/?data&${query}`]) {
      const { status, body, headers } = await get(port, address)
      expect([address, status, headers['content-type'], body.includes(named!)]).toEqual([address, 400, 'text/plain; charset=utf-8', true])
    }
  }
})

test('a closed loop is told, and nothing crashes', async () => {
  const loop = newLoop()
  const port = await listening(createServer(loop.dashboard()))
  await loop.close()
  const { status, body } = await get(port, '/')
  expect([status, body]).toEqual([503, expect.stringMatching(/was closed.*\[ERR_CLOSED\]/)])
})

test('many lookers share one report, and the event loop stays free', async () => {
  const loop = newLoop()
  await trade(loop, 30)
  const port = await listening(createServer(loop.dashboard()))
  const answers = await Promise.all(Array.from({ length: 50 }, () => get(port, '/?data')))
  expect(new Set(answers.map(({ headers }) => headers.etag)).size).toBe(1)
  expect(answers.every(({ status }) => status === 200)).toBe(true)
})

describe('signalloop dashboard', () => {
  async function serve(...args: string[]) {
    const env = { ...process.env, SIGNALLOOP_HOME: newHome(), SIGNALLOOP_EXCHANGE_URL: NOWHERE }
    const child = spawnKept(process.execPath, [join(ROOT, 'bin', 'signalloop.js'), 'dashboard', '--port', '0', '--json', ...args], { env })
    const ended = once(child, 'close')
    let text = ''
    for await (const line of createInterface({ input: child.stdout })) {
      text += line
      if (line === '}') break
    }
    return { child, ended, url: new URL(JSON.parse(text).url as string) }
  }

  test('serves on this machine only, by its address only, until it is told to end', async () => {
    const { child, ended, url } = await serve()
    try {
      expect(url.hostname).toBe('127.0.0.1')
      const port = Number(url.port)
      expect((await get(port, '/')).body).toContain('data-place="served"')
      expect((await get(port, '/?data', { host: `localhost:${port}` })).status).toBe(200)
      expect((await get(port, '/', { host: `evil.example:${port}` })).status).toBe(421)
      expect((await get(port, '/etc/passwd')).status).toBe(404)
      expect((await get(port, '/', {}, 'POST')).status).toBe(405)
      const taken = await runNode([join(ROOT, 'bin', 'signalloop.js'), 'dashboard', '--port', url.port], { env: { SIGNALLOOP_HOME: newHome() } })
      expect([taken.code, taken.stderr]).toEqual([1, expect.stringMatching(/`port` must be one that can be listened on.*\[ERR_INVALID_ARGUMENT\]/)])
    } finally {
      child.kill('SIGTERM')
      expect(await ended).toEqual([0, null])
    }
  })
})
