import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SignalLoop, close, report } from '..'
import { candles, storeCandles } from './helpers/candles'
import { ROOT, runNode } from './helpers/child'
import { NOWHERE, contents, failure, newHome, newLoop } from './helpers/home'
import { EVIL, trade } from './helpers/traded'

/** The data in a page. */
const dataOf = (path: string) => {
  const page = readFileSync(path, 'utf8')
  const [, json] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)!
  return JSON.parse(json!)
}

const signalloop = (home: string, ...args: string[]) =>
  runNode([join(ROOT, 'bin', 'signalloop.js'), ...args], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE } })

test('report() writes what became of the signals, with the figures of getStats', async () => {
  const home = newHome()
  storeCandles(home, candles(500).filter((_, i) => i < 200 || i > 220))
  const loop = newLoop({ home })
  loop.configure({ symbols: ['BTCUSDT'], timeframes: ['1h'], feeBps: 10 })
  await trade(loop, 40)
  await loop.train({ fetch: false })
  const written = await loop.report()
  expect(written).toMatchObject({ path: join(home, 'report.html'), closedSignals: 80, activeSignals: 0, models: 1, problems: [] })
  expect(readFileSync(written.path)).toHaveLength(written.bytes)

  const { signals, learned, making, models, coverage } = dataOf(written.path)
  const { overall, byMonth, bySignalType, holdingTimes } = await loop.feedbackTracker.getStats(undefined, undefined, 36_500)
  expect(signals.figures).toEqual(JSON.parse(JSON.stringify(overall)))
  const named = (figures: object) => JSON.parse(JSON.stringify(Object.entries(figures).map(([name, of]) => ({ name, ...of }))))
  expect([signals.byMonth, signals.bySignalType, signals.moreMonths]).toEqual([named(byMonth).reverse(), named(bySignalType), 0])
  expect(signals.holdingTimes).toEqual(JSON.parse(JSON.stringify(holdingTimes)))
  expect(signals.exposure.openTimePercent).toBeGreaterThan(0)
  const { spans, curve } = signals.results
  expect(spans.reduce((sum: number, span: { closed: number }) => sum + span.closed, 0)).toBe(80)
  expect(curve.total.at(-1)).toBeCloseTo(overall.totalProfitLoss - 80 * 0.1, 3)
  expect([signals.listed.closed.length, signals.listed.open, making]).toEqual([20, [], []])
  // The stated confidence is drawn against what happened: 40 and 80 are the only ones.
  expect(signals.calibration.map((bin: { promised: number }) => bin.promised)).toEqual([40, 80])
  expect(learned.patterns[0].rule).toContain(EVIL)
  const [model] = await loop.models()
  expect(models.markets[0]).toMatchObject({ name: 'btcusdt_1h', version: 1, model: { rows: model!.model!.rows } })
  expect(models.markets[0].changes).toMatchObject([{ event: 'training', version: 1, promoted: true, decision: 'FIRST_MODEL' }])
  expect(models.calibration.length).toBeGreaterThan(0)
  expect(coverage).toMatchObject({ files: [{ name: 'BTCUSDT 1h', candles: { holeCount: 1, expected: 500, count: 479 } }], lacking: [] })
})

test('a home with nothing in it has a report, and nothing else is written there', async () => {
  const home = newHome()
  const { path, bytes, ...figures } = await newLoop({ home }).report()
  expect(figures).toEqual({ closedSignals: 0, activeSignals: 0, models: 0, problems: [] })
  expect(Object.keys(contents(home))).toEqual([path])
  expect(bytes).toBeLessThan(150_000)
  expect(dataOf(path)).toMatchObject({ signals: null, coverage: { files: [] }, models: { markets: [] }, runs: [] })
})

test('the report of the default loop, and a file of one\'s own', async () => {
  process.env.SIGNALLOOP_HOME = newHome()
  const out = join(newHome(), 'deep', 'er', 'mine.html')
  expect(await report({ out })).toMatchObject({ path: out })
  expect(existsSync(out)).toBe(true)
  await close()
  delete process.env.SIGNALLOOP_HOME
})

test('wrong options are refused by name', async () => {
  const loop = newLoop()
  for (const [options, named] of [[{ out: 5 }, 'out'], [{ out: '' }, 'out'], [{ file: 'x' }, 'file'], ['x', 'options']]) {
    // @ts-expect-error on purpose
    const error = await failure(() => loop.report(options))
    expect([error.code, error.message.includes(`\`${named}\``)]).toEqual(['ERR_INVALID_ARGUMENT', true])
  }
  const kept = await failure(() => loop.report({ out: join(loop.home, 'feedback', 'signals.jsonl') }))
  expect([kept.code, kept.message.includes('`out`')]).toEqual(['ERR_INVALID_ARGUMENT', true])
  const blocked = join(newHome(), 'file')
  writeFileSync(blocked, '')
  expect((await failure(() => loop.report({ out: join(blocked, 'x.html') }))).code).toBe('ERR_IO')
})

test('a pair named <script> is refused at the door, and what else it names is text', async () => {
  const home = newHome()
  const loop = newLoop({ home })
  const signal = { id: 'a', pair: '<script>', signalType: 'BUY', confidence: 50, entryPrice: 1, timestamp: new Date() } as const
  expect((await failure(() => loop.feedbackTracker.recordSignal(signal))).code).toBe('ERR_INVALID_SIGNAL')
  mkdirSync(join(home, 'data'))
  writeFileSync(join(home, 'data', '<script>alert(1)<!--.csv'), 'x')
  const { path } = await loop.report()
  expect(readFileSync(path, 'utf8')).not.toContain('<script>alert')
  expect(dataOf(path).coverage.files[0]).toMatchObject({ name: '<script>alert(1)<!--.csv', problem: expect.stringContaining('is not that of a market') })
})

test('what cannot be looked at is told, and the rest is there', async () => {
  const home = newHome()
  mkdirSync(join(home, 'models'))
  mkdirSync(join(home, 'models', 'ledger.jsonl'))
  storeCandles(home, candles(50))
  const ended = await signalloop(home, 'report', '--json')
  const { path, problems } = JSON.parse(ended.stdout)
  expect([ended.code, problems]).toEqual([3, [expect.stringMatching(/ledger\.jsonl.*\[ERR_IO\]/)]])
  expect(ended.stderr).toContain('ledger.jsonl')
  expect(dataOf(path)).toMatchObject({ problems: [{ part: 'models', code: 'ERR_IO' }], coverage: { files: [{ name: 'BTCUSDT 1h', candles: { count: 50 } }] } })
})

test('signalloop report says where it is, and opens it when asked', async () => {
  const [home, tools] = [newHome(), newHome()]
  const loop = new SignalLoop({ home, exchangeUrl: NOWHERE })
  await trade(loop, 5)
  await loop.close()
  const told = await signalloop(home, 'report')
  expect([told.code, told.stderr]).toEqual([0, ''])
  expect(told.stdout).toMatch(/^The report of 10 closed signals and 0 models is in .*report\.html \(\d+ KB\)\n$/)

  // A browser that writes down what it is asked to open.
  const opened = join(tools, 'opened')
  writeFileSync(join(tools, 'xdg-open'), `#!/bin/sh\necho "$1" > ${opened}.new && mv ${opened}.new ${opened}\n`, { mode: 0o755 })
  const out = join(tools, 'x.html')
  const env = { SIGNALLOOP_HOME: home, PATH: `${tools}:/usr/bin:/bin` }
  const asked = await runNode([join(ROOT, 'bin', 'signalloop.js'), 'report', '--open', '--out', out, '--json'], { env })
  expect([asked.code, JSON.parse(asked.stdout)]).toMatchObject([0, { path: resolve(out), closedSignals: 10 }])
  if (process.platform === 'linux') {
    for (let tries = 0; tries < 100 && !existsSync(opened); tries++) await new Promise((wait) => setTimeout(wait, 50))
    expect(readFileSync(opened, 'utf8')).toBe(`${out}\n`)
    const none = await runNode([join(ROOT, 'bin', 'signalloop.js'), 'report', '--open'], { env: { ...env, PATH: newHome() } })
    expect([none.code, none.stderr]).toEqual([3, expect.stringContaining('no browser could be opened')])
  }
})

test('the plots are those that uPlot was published with', () => {
  const vendored = (name: string) => readFileSync(join(ROOT, 'crates', 'report', 'src', 'assets', 'uplot', name), 'utf8')
  const published = (name: string) => readFileSync(join(ROOT, 'node_modules', 'uplot', name), 'utf8')
  for (const name of ['uPlot.iife.min.js', 'uPlot.min.css']) expect(vendored(name)).toBe(published(join('dist', name)))
  expect(vendored('LICENSE')).toBe(published('LICENSE'))
})
