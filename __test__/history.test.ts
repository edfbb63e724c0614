// Years of candles are fetched page by page, newest first, with progress, and survive `kill -9`.
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { LoopEvent, TrainProgress } from '..'
import { HOUR, candles, type Row } from './helpers/candles'
import { ROOT, runNode, spawnKept } from './helpers/child'
import { newHome, newLoop } from './helpers/home'

const HOURS = 12_500
const rows = candles(HOURS)

/** An exchange of one symbol that serves so many pages of candles, then none any more, as `then` says. */
let server: Server
let url: string
let asked: { from: number; until: number; limit: number }[]
let [pagesLeft, then] = [Infinity, 'hang' as 'hang' | 'refuse']

beforeAll(async () => {
  server = createServer((request, response) => {
    const { pathname, searchParams: query } = new URL(request.url!, 'http://localhost')
    if (pathname !== '/api/v3/klines') return void response.writeHead(404).end()
    const [from, until, limit] = [Number(query.get('startTime')), Number(query.get('endTime') ?? Infinity), Number(query.get('limit'))]
    if (limit > 1 && pagesLeft-- <= 0) return void (then === 'hang' || response.writeHead(451).end())
    asked.push({ from, until, limit })
    const page = rows.filter(([open]) => open >= from && open <= until).slice(0, limit)
    const kline = ([open, ...numbers]: Row) => [open, ...numbers.map(String), open + HOUR - 1, '0', 1, '0', '0', '0']
    response.end(JSON.stringify(page.map(kline)))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
beforeEach(() => {
  ;[asked, pagesLeft, then] = [[], Infinity, 'hang']
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

function homeOfOne(): string {
  const home = newHome()
  writeFileSync(join(home, 'training_config.json'), '{ "symbols": ["BTCUSDT"], "timeframes": ["1h"], "trees": 10 }')
  return home
}

const environment = (home: string) => ({ SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: url })
const COMMAND = join(ROOT, 'bin', 'signalloop.js')
const stored = (home: string) => readFileSync(join(home, 'data', 'btcusdt_1h.csv'), 'utf8').trim().split('\n').slice(1)
const times = (home: string) => stored(home).map((line) => Date.parse(`${line.slice(0, 19).replace(' ', 'T')}Z`))

test('what came before a kill -9 is kept, and not asked for again', async () => {
  const home = homeOfOne()
  pagesLeft = 6
  const child = spawnKept(process.execPath, [COMMAND, 'fetch'], { env: { ...process.env, ...environment(home) }, stdio: ['ignore', 'pipe', 'ignore'] })
  let printed = ''
  child.stdout!.on('data', (text) => (printed += text))
  while (pagesLeft >= 0) await new Promise((resolve) => setTimeout(resolve, 20))
  child.kill('SIGKILL')
  await once(child, 'close')
  expect(printed).toMatch(/^Fetching BTCUSDT 1h: 1000 of 125\d\d candles, about \d+ s left for all markets; fetched candles are kept$/m)
  // The newest came first, and a reader finds them without a hole.
  const before = times(home)
  expect(before.length).toBeGreaterThanOrEqual(3000)
  expect([before.at(-1), before.at(-1)! - before[0]!]).toEqual([rows.at(-1)![0], (before.length - 1) * HOUR])

  const answered = asked.splice(0).filter(({ limit }) => limit > 1)
  expect(answered).toHaveLength(6)
  pagesLeft = Infinity
  const { code, stdout } = await runNode([COMMAND, 'fetch', '--json'], { env: environment(home) })
  expect([code, JSON.parse(stdout)]).toEqual([0, [expect.objectContaining({ success: true, total: HOURS })]])
  expect(times(home)).toEqual(rows.map(([open]) => open))
  const oldest = Math.min(...answered.map(({ from }) => from))
  const again = asked.filter(({ limit, until }) => limit > 1 && until >= oldest + HOUR)
  expect(again).toEqual([])
  expect(existsSync(join(home, 'data', 'btcusdt_1h.part'))).toBe(false)

  asked = []
  expect((await runNode([COMMAND, 'fetch'], { env: environment(home) })).code).toBe(0)
  expect(asked.length).toBeLessThanOrEqual(1)
}, 60_000)

test('a training takes what is there where the exchange fails midway, tells how far it is, and goes on the next time', async () => {
  const events: LoopEvent[] = []
  const progress: TrainProgress[] = []
  const loop = newLoop({ home: homeOfOne(), exchangeUrl: url, onEvent: (event) => void events.push(event) })
  ;[pagesLeft, then] = [3, 'refuse']
  const { results } = await loop.train({ onProgress: (news) => void progress.push(news) })
  expect(results[0]).toMatchObject({ success: true, model: { candles: 3000 } })
  expect(results[0]!.warning).toMatch(/^trained on the 3000 candles since 20.*part of the history not fetched yet, the next fetch goes on.*HTTP 451/)
  expect(events.find(({ type }) => type === 'fetchProgress')).toMatchObject({ symbol: 'BTCUSDT', timeframe: '1h', fetched: 1000, missing: HOURS - 1000, remainingSeconds: expect.any(Number) })
  expect(progress.find(({ phase, done }) => phase === 'fetch' && done > 0)).toMatchObject({ done: 1000, steps: HOURS, remainingSeconds: expect.any(Number) })
  pagesLeft = Infinity
  expect(await loop.fetchData()).toMatchObject([{ success: true, total: HOURS, findings: [{ cause: 'backfilled', count: HOURS - 3000 }] }])
}, 60_000)

test('a signal of a market without candles waits for one page', async () => {
  const loop = newLoop({ exchangeUrl: url })
  await loop.generateSignal({ symbol: 'BTCUSDT' }).catch(({ code }) => expect(code).toBe('ERR_NO_MODEL'))
  expect(asked).toHaveLength(1)
  expect(stored(loop.home).length).toBeGreaterThanOrEqual(998)
})
