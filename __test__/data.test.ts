import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HOUR, candles, storeCandles, type Row } from './helpers/candles'
import { ROOT, runNode } from './helpers/child'
import { failure, newHome, newLoop, NOWHERE } from './helpers/home'

const END = Math.floor(Date.now() / HOUR - 24) * HOUR

const signalloop = (home: string, ...args: string[]) =>
  runNode([join(ROOT, 'bin', 'signalloop.js'), ...args], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE } })

const stored = (home: string) => readFileSync(join(home, 'data', 'btcusdt_1h.csv'), 'utf8')

test('a file of another origin is looked at, taken in, and what was done to it is said', async () => {
  const home = newHome()
  const rows = candles(300, { end: END })
  // Two downloads joined in the wrong order, half of it in microseconds, without a header.
  const line = ([time, ...rest]: Row, factor: number) => [time * factor, ...rest].join(',')
  const file = join(home, 'odd.csv')
  const lines = [...rows.slice(100).map((r) => line(r, 1)), ...rows.slice(0, 150).map((r) => line(r, 1000))]
  writeFileSync(file, `${lines.join('\n')}\n`)

  const looked = await signalloop(home, 'data', 'check', file, '--timeframe', '1h', '--json')
  const [checked] = JSON.parse(looked.stdout)
  expect([looked.code, checked.candles]).toEqual([0, 300])
  const causes = Object.fromEntries(checked.findings.map((f: { cause: string; count: number }) => [f.cause, f.count]))
  expect(causes).toEqual({ time_unit: 150, disorder: 150, duplicate: 50, no_header: 1 })

  const taken = await signalloop(home, 'data', 'import', file, '--symbol', 'BTC/USDT', '--timeframe', '1h')
  expect([taken.code, taken.stdout]).toEqual([0, expect.stringContaining('50 duplicates left out')])
  expect(taken.stdout).toContain('last row left out')
  const clean = newHome()
  storeCandles(clean, rows.slice(0, 299))
  const [imported, written] = [home, clean].map((h) => stored(h).split('\n').map((text) => text.split(',').map((f) => Number(f) || f)))
  expect(imported).toEqual(written)
})

test('local times say their zone, or are told', async () => {
  const home = newHome()
  const clock = (time: number) => new Date(time).toISOString().slice(0, 19).replace('T', ' ')
  const rows = candles(30, { end: END })
  const file = join(home, 'local.csv')
  // Two hours ahead of UTC, all year.
  writeFileSync(file, ['date,open,high,low,close,volume', ...rows.map(([time, ...rest]) => [clock(time + 2 * HOUR), ...rest].join(',')), ''].join('\n'))
  const check = async (...args: string[]) => {
    const { stdout } = await signalloop(home, 'data', 'check', file, '--timeframe', '1h', '--json', ...args)
    const [{ from, findings }] = JSON.parse(stdout)
    return [from, findings]
  }
  const finding = (cause: string, repaired: boolean, example: string) => [{ cause, repaired, count: 30, example }]
  const begin = rows[0]![0]
  const ahead = new Date(begin + 2 * HOUR).toISOString()
  expect(await check()).toEqual([ahead, finding('taken_as_utc', false, ahead)])
  expect(await check('--timezone', 'Africa/Maputo')).toEqual([new Date(begin).toISOString(), finding('local_time', true, 'Africa/Maputo')])
  const wrong = await signalloop(home, 'data', 'check', file, '--timeframe', '1h', '--timezone', 'Mars/Base')
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('must be an IANA time zone')])
  const taken = await signalloop(home, 'data', 'import', file, '--symbol', 'BTCUSDT', '--timeframe', '1h', '--timezone', 'Africa/Maputo')
  expect(taken.code).toBe(0)
  expect(stored(home).split('\n')[1]).toMatch(clock(begin))
})

test('what cannot be trusted is refused with a reason, and changes nothing', async () => {
  const home = newHome()
  const rows = candles(100, { end: END })
  storeCandles(home, rows)
  const before = stored(home)
  const another = rows.map(([time, ...prices]): Row => [time, ...(prices.map((p) => p * 1.01) as [number, number, number, number, number])])
  const coin = rows.map(([time, o, h, l, c, v], i): Row => (i < 50 ? [time, o, h, l, c, v] : [time, o / 1e4, h / 1e4, l / 1e4, c / 1e4, v]))
  const ochl = rows.map(([time, o, h, l, c, v]): Row => [time, o, c, h, l, v])
  const cases: [Row[], RegExp][] = [
    [another, /99 times have two candles that disagree/],
    [coin, /another coin under the same ticker.*--since/],
    [ochl, /--columns time,open,close,high,low,volume/],
    [rows.map(([time, ...rest]) => [END - (END - time) * 4, ...rest]), /no two candles are 1h apart/],
  ]
  for (const [bad, reason] of cases) {
    const file = join(home, 'bad.csv')
    writeFileSync(file, `${bad.map((row) => row.join(',')).join('\n')}\n`)
    const ended = await signalloop(home, 'data', 'import', file, '--symbol', 'BTCUSDT', '--timeframe', '1h')
    expect([ended.code, ended.stdout]).toEqual([1, expect.stringMatching(reason)])
    expect(ended.stdout).toContain('[ERR_INVALID_CANDLE]')
    expect(stored(home)).toBe(before)
  }
})

test('a callback that repeats itself and leaves out candles is borne with, and its findings are told', async () => {
  const rows = candles(300)
  const asked: number[] = []
  const holed = rows.filter((_, i) => i < 100 || i >= 110)
  const loop = newLoop({
    fetchCandles: async ({ since }) => {
      asked.push(since)
      return [...holed, holed[5]!].filter(([time]) => time >= since)
    },
  })
  loop.configure({ historyDays: 13 })
  const [first] = await loop.fetchData({ symbols: ['BTC/USDT:USDT'], timeframes: ['1h'] })
  expect(first).toMatchObject({ success: true, symbol: 'BTCUSDT:USDT', total: 290 })
  expect(first!.findings).toContainEqual({ cause: 'gap', repaired: false, count: 1, example: expect.stringContaining('10 h from') })
  const questions = asked.length
  expect((await loop.fetchData({ symbols: ['BTC/USDT:USDT'], timeframes: ['1h'] }))[0]!.findings).toEqual([])
  expect(asked.slice(questions)).toEqual([])
  expect(readFileSync(join(loop.home, 'data', 'btcusdt%3ausdt_1h.csv'), 'utf8').split('\n')).toHaveLength(292)

  const [since] = await loop.fetchData({ symbols: ['BTC/USDT:USDT'], timeframes: ['1h'], since: new Date(rows[200]![0]) })
  expect(since).toMatchObject({ success: true, total: 100, from: new Date(rows[200]![0]).toISOString() })
  expect(await failure(() => loop.fetchData({ since: 'yesterday' }))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
})
