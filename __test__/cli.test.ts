import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { SignalLoop } from '..'
import { HOUR, candles, storeCandles } from './helpers/candles'
import { ROOT, runNode, spawnKept } from './helpers/child'
import { NOWHERE, contents, newHome } from './helpers/home'

const YESTERDAY = Math.floor(Date.now() / HOUR - 24) * HOUR

const signalloop = (home: string, ...args: string[]) =>
  runNode([join(ROOT, 'bin', 'signalloop.js'), ...args], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE } })

/** What a script of bash prints on standard output and on standard error. */
async function runOnShell(script: string, env: NodeJS.ProcessEnv): Promise<[string, string]> {
  const child = spawnKept('bash', ['-c', script], { cwd: ROOT, env: { ...process.env, ...env } })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  await once(child, 'close')
  return [stdout, stderr]
}

/** A home configured for these symbols at 1h, with stored candles of those that have them. */
function homeWith(symbols: string[], stored: string[]): string {
  const home = newHome()
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols, timeframes: ['1h'], trees: 10 }))
  for (const [seed, symbol] of stored.entries()) {
    storeCandles(home, candles(700, { seed: seed + 1, end: YESTERDAY }), `${symbol.toLowerCase()}_1h`)
  }
  return home
}

test('train tells full, partial and total failure apart', async () => {
  const cases = [
    { stored: ['BTCUSDT', 'ETHUSDT'], code: 0, last: /^Success: 2\/2 models trained \(100%\)$/, found: /^Found: (none|1|2) of 2 models knows? (more than the base rate, beyond chance|something beyond chance: .*)$/m },
    { stored: ['BTCUSDT'], code: 3, last: /^Success: 1\/2 models trained \(50%\)$/, found: /^Found: (none|1) of 1 model knows /m },
    { stored: [], code: 1, last: /^Success: 0\/2 models trained \(0%\)$/, found: /^2 markets: cannot reach the exchange/m },
  ]
  for (const { stored, code, last, found } of cases) {
    const ended = await signalloop(homeWith(['BTCUSDT', 'ETHUSDT'], stored), 'train')
    const lines = ended.stdout.trim().split('\n')
    expect([ended.code, lines.at(-1)]).toEqual([code, expect.stringMatching(last)])
    expect(ended.stdout).toMatch(found)
    if (stored.length < 2) expect(ended.stdout.match(/connection refused.*\.csv does not exist.*\[ERR_EXCHANGE\]/g)).toHaveLength(1)
    for (const symbol of ['BTCUSDT', 'ETHUSDT']) {
      const line = lines.find((text) => text.startsWith(`Training ${symbol} 1h...`))!
      if (stored.includes(symbol)) expect(line).toMatch(/\.\.\. ✓ (knows|may know|too early)/)
      else expect(line).toBe(`Training ${symbol} 1h... ✗ [ERR_EXCHANGE]`)
    }
    // No bar on what is not a terminal.
    expect(ended.stderr).not.toMatch(/[█\u001b]/)
  }
})

test('predict, models and stats answer as JSON that a script can read', async () => {
  const home = homeWith(['BTCUSDT'], ['BTCUSDT'])
  expect((await signalloop(home, 'train', '--json')).code).toBe(0)

  const prediction = await signalloop(home, 'predict', '--symbol', 'BTC/USDT', '--timeframe', '1h', '--json')
  const { probabilities, ...rest } = JSON.parse(prediction.stdout)
  expect(probabilities.BUY + probabilities.SELL + probabilities.HOLD).toBeCloseTo(100, 9)
  expect(rest).toMatchObject({ symbol: 'BTCUSDT', timeframe: '1h', stale: true })
  expect(prediction.stderr).toContain('signalloop fetch --symbol BTCUSDT --timeframe 1h')

  const [model] = JSON.parse((await signalloop(home, 'models', '--json')).stdout)
  expect(model.record.market).toEqual({ symbol: 'BTCUSDT', timeframe: '1h' })

  const loop = new SignalLoop({ home, exchangeUrl: NOWHERE })
  const signal = { id: 'a', pair: 'BTCUSDT', confidence: 60, entryPrice: 100, stopLoss: 95, takeProfit: 110, timestamp: new Date() }
  await loop.feedbackTracker.recordSignal({ ...signal, signalType: 'BUY' })
  await loop.feedbackTracker.onPrice('BTCUSDT', 110)
  const api = await loop.feedbackTracker.getStats()
  await loop.close()
  const stats = JSON.parse((await signalloop(home, 'stats', '--json')).stdout)
  // The same figures under the same names as the API's, and those of the old system.
  const { period, overall, bySymbol, byTimeframe, byStrategy, bySignalType, byMonth, holdingTimes, followed, conservativeMode, ignoredPrices, ...totals } = stats
  const told = { overall, bySymbol, byTimeframe, byStrategy, bySignalType, byMonth, holdingTimes, followed, conservativeMode, ignoredPrices }
  expect(told).toEqual(JSON.parse(JSON.stringify(api)))
  expect([period.days, totals]).toEqual([30, { total_signals: 1, closed_signals: 1, successful: 1, failed: 0, success_rate: 100, avg_profit_loss: 10, total_return: 10 }])
  expect((await signalloop(home, 'stats')).stdout).toMatch(/all +1 +0 +100\.0 %/)
})

test('the seven figures are of all signals unless days are said, and stats tells of what is outside of its time', async () => {
  const home = newHome()
  expect((await signalloop(home, 'stats')).stdout).toContain('No signals yet')
  const loop = new SignalLoop({ home, exchangeUrl: NOWHERE })
  const DAY = 24 * HOUR
  // The figures that the old system's documentation prints.
  for (let n = 0; n < 45; n++) {
    const timestamp = Date.now() - 60 * DAY + n * HOUR
    await loop.feedbackTracker.recordSignal({ id: `s${n}`, pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 98.86, takeProfit: 102.85, timestamp })
    if (n < 38) await loop.feedbackTracker.onPrice('BTCUSDT', n < 28 ? 102.85 : 98.86, timestamp + HOUR / 2)
  }
  const printed = { total_signals: 45, closed_signals: 38, successful: 28, failed: 10, success_rate: 73.7, avg_profit_loss: 1.8, total_return: 68.4 }
  const none = { total_signals: 0, closed_signals: 0, successful: 0, failed: 0, success_rate: 0, avg_profit_loss: 0, total_return: 0 }
  expect(await loop.feedbackTracker.getPerformanceStats()).toEqual(printed)
  expect(await loop.feedbackTracker.getPerformanceStats('BTC/USDT', '1h', 90)).toEqual(printed)
  for (const filter of [['ETHUSDT'], ['BTCUSDT', '4h'], [undefined, undefined, 30]] as Parameters<typeof loop.feedbackTracker.getPerformanceStats>[]) {
    expect(await loop.feedbackTracker.getPerformanceStats(...filter)).toEqual(none)
  }
  await loop.close()

  const json = async (...args: string[]) => JSON.parse((await signalloop(home, 'stats', '--json', ...args)).stdout)
  expect(await json()).toMatchObject({ ...printed, overall: { closedSignals: 0 }, period: { days: 30 } })
  expect(await json('--days', '30')).toMatchObject({ ...none, overall: { closedSignals: 0 } })
  expect(await json('--all')).toMatchObject({ ...printed, overall: { closedSignals: 38 }, period: {} })
  const text = (await signalloop(home, 'stats')).stdout
  expect(text).toContain('No signals in that time.\nBefore that: 38 closed, 7 open. `signalloop stats --all` counts them too.\n')
  const all = (await signalloop(home, 'stats', '--all')).stdout
  expect(all).toMatch(/^All signals, in .*\n.*\nall +38 +7 +73\.7 %/)
  expect(all).not.toContain('Before that')
  expect((await signalloop(home, 'stats', '--all', '--days', '3')).code).toBe(2)
})

test('a file without lines is refused before it fills the memory, a long line by its number', async () => {
  const home = newHome()
  if (process.platform !== 'win32') {
    const endless = await signalloop(home, 'import', '/dev/zero', '--json')
    expect([endless.code, JSON.parse(endless.stdout)]).toEqual([1, { error: { code: 'ERR_IO', message: expect.stringMatching(/\/dev\/zero: line 1 does not end within 64 MiB/) } }])
    const candleless = await signalloop(home, 'data', 'import', '/dev/zero', '--symbol', 'BTCUSDT', '--timeframe', '1h')
    expect([candleless.code, candleless.stdout + candleless.stderr]).toEqual([1, expect.stringMatching(/\/dev\/zero: line 1 is not text.*ERR_INVALID_CANDLE/)])
  }
  const log = join(home, 'some.jsonl')
  const signal = { signal_id: 'a', symbol: 'BTCUSDT', signal_type: 'BUY', confidence: 60, entry_price: 100, timestamp: '2025-01-01T00:00:00Z' }
  writeFileSync(log, `${'x'.repeat(3 << 20)}\n${JSON.stringify(signal)}\n`)
  const imported = JSON.parse((await signalloop(home, 'import', log, '--json')).stdout)
  expect(imported).toMatchObject({ lines: 2, imported: 1, refused: [{ line: 1, reason: 'longer than 1 MiB' }] })
  writeFileSync(log, 'no signal\n'.repeat(100_001))
  expect((await signalloop(home, 'import', log)).stderr).toMatch(/some\.jsonl: more than 100000 of its lines are not signals, .*; line 1: not JSON.*\[ERR_IO\]/)
  // The store's own log, filled up with zeros.
  writeFileSync(join(home, 'feedback', 'signals.jsonl'), '')
  truncateSync(join(home, 'feedback', 'signals.jsonl'), 2 ** 32)
  const own = await signalloop(home, 'stats', '--json')
  expect([own.code, JSON.parse(own.stdout)]).toEqual([1, { error: { code: 'ERR_STORE', message: expect.stringMatching(/signals\.jsonl: the line at byte 0 does not end within 64 MiB/) } }])
}, 60_000)

test('retrain leaves young models alone', async () => {
  const home = homeWith(['BTCUSDT'], ['BTCUSDT'])
  await signalloop(home, 'train')
  const again = await signalloop(home, 'retrain', '--max-age', '24')
  expect(again.stdout).toContain('1 models are recent enough')
  expect(again.code).toBe(0)
  expect((await signalloop(home, 'retrain', '--max-age', '0')).stdout).toContain('Success: 1/1 models trained (100%)')
})

test('a command that cannot be understood ends with 2, one that cannot be done with 1, and both say why', async () => {
  const home = newHome()
  for (const args of [['trian'], ['train', '--bogus'], ['predict'], ['stats', '--days', '0'], ['retrain', '--max-age', 'NaN'], ['predict', '--symbol', '../x'], []]) {
    const ended = await signalloop(home, ...args)
    expect([args, ended.code]).toEqual([args, 2])
    expect(ended.stderr).toMatch(/error:|Usage:/)
  }
  const failed = await signalloop(home, 'predict', '--symbol', 'BTCUSDT', '--json')
  expect(failed.code).toBe(1)
  expect(JSON.parse(failed.stdout)).toMatchObject({ error: { code: 'ERR_NO_DATA' } })
  expect(failed.stderr).toContain('signalloop fetch --symbol BTCUSDT --timeframe 1h')

  writeFileSync(join(home, 'training_config.json'), '{"history_days": "many", "modle": 1}')
  const wrong = await signalloop(home, 'models')
  expect(wrong.code).toBe(1)
  expect(wrong.stderr).toMatch(/history_days.*must be a whole number of days, 1 to 3650; got "many".*\[ERR_INVALID_CONFIG\]/)
})

test('with --json every command prints one JSON document, also one that cannot be done or understood', async () => {
  const home = homeWith(['BTCUSDT'], ['BTCUSDT'])
  const loop = new SignalLoop({ home, exchangeUrl: NOWHERE })
  await loop.feedbackTracker.recordSignal({ id: 'a', pair: 'BTCUSDT', signalType: 'HOLD', confidence: 60, timestamp: new Date() })
  await loop.close()
  const market = ['--symbol', 'BTCUSDT', '--timeframe', '1h']
  const span = ['--from', '2026-03-28T00:00:00Z', '--until', '2026-03-29T00:00:00Z']
  const commands: [string[], number, string[]][] = [
    [['train', '--no-fetch'], 0, ['successful', 'results']],
    [['retrain', '--max-age', '0', '--no-fetch'], 0, ['successful', 'results']],
    [['fetch'], 1, []],
    [['data', 'check'], 0, []],
    [['data', 'import', join(home, 'data', 'btcusdt_1h.csv'), '--symbol', 'ETHUSDT', '--timeframe', '1h'], 0, []],
    [['predict', ...market], 0, ['signal', 'probabilities']],
    [['stats'], 0, ['overall']],
    [['scorecard', '--symbol', 'BTCUSDT', '--since', '2026-01-01'], 0, ['finding', 'verdict']],
    [['scorecard', '--strategy', ''], 2, ['error']],
    [['advise', '--symbol', 'BTCUSDT', '--since', '2026-01-01'], 0, ['finding', 'verdict', 'strategies']],
    [['advise', '--timeframe', '7h'], 2, ['error']],
    [['learn', ...market, '--mode', 'evaluate'], 0, ['verdict']],
    [['patterns'], 0, []],
    [['models'], 0, []],
    [['report'], 0, ['path']],
    [['rollback', ...market], 0, ['symbol', 'timeframe', 'at', 'from', 'to', 'automatic', 'reason']],
    [['scheduler', 'once', '--task', 'evaluate'], 0, ['outcome']],
    [['scheduler', 'status'], 0, ['tasks']],
    [['scheduler', 'next', ...span], 0, ['dueTimes']],
    [['doctor'], 1, ['findings']],
    [['metrics'], 0, ['metrics']],
    [['import', join(home, 'feedback', 'signals.jsonl')], 0, ['known']],
    [['export', join(home, 'rows.csv')], 0, ['rows', 'path']],
    [['compact'], 0, ['bytesBefore', 'bytesAfter']],
    [['demo', '--weeks', '1'], 0, ['overall']],
    [['completions', 'bash'], 0, ['shell', 'script']],
    [['init'], 0, ['home', 'written', 'settings']],
    [['init', '--symbols', 'ETHUSDT'], 1, ['error']],
    [['predict', '--symbol', 'XRPUSDT'], 1, ['error']],
    [['predict'], 2, ['error']],
    [['trian'], 2, ['error']],
  ]
  for (const [args, code, keys] of commands) {
    const ended = await signalloop(home, ...args, '--json')
    const document = JSON.parse(ended.stdout) as Record<string, unknown>
    expect([args, ended.code, keys.filter((key) => !(key in document))]).toEqual([args, code, []])
    const named = { predict: '--symbol', scorecard: '--strategy', advise: '--timeframe', trian: 'trian' }[args[0]!]
    if (code === 2) expect(document.error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(named!) })
  }
}, 120_000)

test('trainings of several markets, in processes of their own, are all in training_results.json, as the old system had it', async () => {
  const symbols = ['BTCUSDT', 'ETHUSDT', 'SOLUSDT']
  const home = homeWith(symbols, symbols)
  const file = join(home, 'models', 'training_results.json')
  const read = () => JSON.parse(readFileSync(file, 'utf8'))
  expect((await signalloop(home, 'train', '--no-fetch', '--symbol', 'BTCUSDT')).code).toBe(0)
  const first = read().symbols.BTCUSDT['1h']
  expect(first).toMatchObject({ success: true, promoted: true, rows: expect.any(Number), log_loss: expect.any(Number), timestamp: expect.stringMatching(/Z$/) })
  await Promise.all(['ETHUSDT', 'SOLUSDT', 'NOPEUSDT'].map((symbol) => signalloop(home, 'train', '--no-fetch', '--symbol', symbol)))
  const all = read()
  expect(all).toMatchObject({ total_models: 4, successful: 3, failed: 1, success_rate: 75 })
  expect(all.symbols.BTCUSDT['1h']).toEqual(first)
  expect(Object.keys(all.symbols).sort()).toEqual(['BTCUSDT', 'ETHUSDT', 'NOPEUSDT', 'SOLUSDT'])
  expect(all.symbols.NOPEUSDT['1h']).toMatchObject({ success: false, error: { code: 'ERR_NO_DATA' } })
  expect(all.results.map(({ symbol }: { symbol: string }) => symbol).sort()).toEqual(Object.keys(all.symbols).sort())

  writeFileSync(file, '{"symbols": {"BTC')
  const damaged = await signalloop(home, 'train', '--no-fetch', '--symbol', 'BTCUSDT')
  expect([damaged.code, damaged.stderr]).toEqual([0, expect.stringMatching(/^warning: .*training_results\.json could not be read .* kept as .*training_results\.damaged-\d+\.json, and a new one was begun\n$/)])
  expect(read()).toMatchObject({ total_models: 1, successful: 1 })
  const kept = / kept as (\S+),/.exec(damaged.stderr)![1]!
  expect(readFileSync(kept, 'utf8')).toBe('{"symbols": {"BTC')
}, 60_000)

// One command of each kind: results, tables, documents, help, progress, and servers.
const fullDisk = existsSync('/dev/full') ? test : test.skip
fullDisk('output that is lost is no success, and said on standard error; a reader that goes away is', async () => {
  const home = homeWith(['BTCUSDT'], ['BTCUSDT'])
  const full = async (...args: string[]) => {
    const out = openSync('/dev/full', 'w')
    const child = spawnKept(process.execPath, [join(ROOT, 'bin', 'signalloop.js'), ...args], { env: { ...process.env, SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE }, stdio: ['ignore', out, 'pipe'] })
    closeSync(out)
    let stderr = ''
    child.stderr!.on('data', (text) => (stderr += text))
    const [code] = await once(child, 'close')
    return [args, code, stderr.trim().split('\n').at(-1)]
  }
  const commands = [
    ['train', '--no-fetch'], ['stats'], ['stats', '--json'], ['scorecard'], ['advise'], ['models'], ['patterns'], ['report'], ['metrics'], ['compact'], ['scheduler', 'status'],
    ['scheduler', 'once', '--task', 'evaluate'], ['data', 'check'], ['predict', '--symbol', 'BTCUSDT'], ['simulator'], ['dashboard', '--port', '0'], ['mcp', '--http', '0'], ['--help'], ['--version'], ['completions', 'bash'],
  ]
  for (const args of commands) {
    expect(await full(...args)).toEqual([args, 1, 'error: cannot write standard output: No space left on device (os error 28); make room on that disk [ERR_IO]'])
  }
  const cut = await runOnShell(`node bin/signalloop.js metrics | head -n 1; echo "\${PIPESTATUS[0]}"`, { SIGNALLOOP_HOME: home })
  expect(cut).toEqual([expect.stringMatching(/^# HELP .*\n0\n$/), ''])
}, 60_000)

// File permissions exist on Unix only.
const onUnix = process.platform === 'win32' ? test.skip : test
onUnix('what is written obeys the umask', async () => {
  const home = homeWith(['BTCUSDT'], ['BTCUSDT'])
  const commands = ['train --no-fetch', 'report', `import ${join(home, 'old.jsonl')}`, `export ${join(home, 'rows.csv')}`, 'scheduler once --task evaluate']
  const candleFile = join(home, 'data', 'btcusdt_1h.csv')
  writeFileSync(join(home, 'old.jsonl'), `${JSON.stringify({ signal_id: 'a', symbol: 'BTCUSDT', signal_type: 'BUY', confidence: 60, entry_price: 100, timestamp: '2025-01-01T00:00:00Z' })}\n`)
  const given = new Set([join(home, 'old.jsonl'), join(home, 'training_config.json'), candleFile])
  commands.push(`data import ${candleFile} --symbol ETHUSDT --timeframe 1h`)
  const script = commands.map((command) => `node bin/signalloop.js ${command} > /dev/null`).join(' && ')
  const [, stderr] = await runOnShell(`umask 077; ${script}`, { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE })
  expect(stderr).toBe('')
  const written = Object.keys(contents(home)).filter((path) => !given.has(path))
  for (const name of ['report.html', 'rows.csv', 'training_results.json', 'signals.jsonl', 'ethusdt_1h.csv', 'v000001.model', 'ledger.jsonl', 'evaluate.json']) {
    expect(written.map((path) => basename(path))).toContain(name)
  }
  expect(written.filter((path) => (statSync(path).mode & 0o077) !== 0)).toEqual([])
}, 60_000)

test('the demonstration leaves reports to look at, and shows a learner that gets better', async () => {
  const tmp = newHome()
  const { code, stdout } = await runNode([join(ROOT, 'bin', 'signalloop.js'), 'demo', '--weeks', '1', '--json'], { env: { TMPDIR: tmp, TMP: tmp } })
  const told = JSON.parse(stdout)
  expect(code).toBe(0)
  const left = Object.keys(contents(tmp)).sort()
  expect(left).toEqual([told.learnedReport, told.replayReport, told.report].sort())
  for (const path of left) expect(readFileSync(path, 'utf8')).toMatch(/<title>signalloop (report|replay)<\/title>/)
  const weeks = told.learning.weeks as { figures: { all: number; taken: number; best: number } }[]
  const share = weeks.map(({ figures: { all, taken, best } }) => (taken - all) / (best - all))
  expect(weeks).toHaveLength(8)
  for (const { figures } of weeks) expect([figures.all > 50 && figures.all < 70, figures.best > 75]).toEqual([true, true])
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  expect(mean(share.slice(4))).toBeGreaterThan(share[0]! + 0.1)
  expect(mean(share.slice(4))).toBeGreaterThan(0.6)
  // The documentation shows these weeks. What is learned in the background may differ by a little.
  const documented = (row: string) => new RegExp(`^\\| ${row} \\| (.*) \\|$`, 'm').exec(readFileSync(join(ROOT, 'docs', 'learning.md'), 'utf8'))![1]!.split(' | ').map(Number)
  const rows = { all: documented('all signals'), taken: documented('the half it would take'), best: documented('the best possible half') }
  for (const [week, { figures }] of weeks.entries()) {
    for (const name of ['all', 'best'] as const) expect(Math.round(figures[name])).toBe(rows[name][week])
    expect(Math.abs(figures.taken - rows.taken[week]!)).toBeLessThan(5)
  }
}, 60_000)

test('a market without candles says how to get them, also when nothing is to be fetched', async () => {
  const { results } = JSON.parse((await signalloop(homeWith(['BTCUSDT'], []), 'train', '--no-fetch', '--json')).stdout)
  expect(JSON.stringify(results)).toMatch(/ERR_NO_DATA.*no candles of BTCUSDT 1h: .*does not exist; fetch them with `signalloop fetch --symbol BTCUSDT --timeframe 1h`|no candles of BTCUSDT 1h.*ERR_NO_DATA/)
})

test('help is on standard output and names every command', async () => {
  const { code, stdout, stderr } = await signalloop(newHome(), '--help')
  expect([code, stderr]).toEqual([0, ''])
  for (const command of ['train', 'retrain', 'fetch', 'predict', 'stats', 'models', 'report', 'dashboard', 'mcp', 'rollback', 'import', 'export', 'compact', 'demo', 'simulator', 'init', 'completions']) {
    expect(stdout).toMatch(new RegExp(`^ {2}${command} +\\w`, 'm'))
  }
})

test('metrics are the same on the command line and from the API', async () => {
  const home = homeWith(['BTCUSDT'], ['BTCUSDT'])
  const loop = new SignalLoop({ home, exchangeUrl: NOWHERE })
  await loop.train({ fetch: false })
  const api = await loop.metrics()
  await loop.close()
  const { code, stdout } = await signalloop(home, 'metrics')
  // What never ran is due now, whenever that is; and what a process fitted is its own.
  const settled = (text: string) => text.split('\n').filter((line) => !/signalloop_(task_next_run|pools_fitted)_/.test(line))
  expect([code, settled(stdout)]).toEqual([0, settled(api)])
  expect(api).toMatch(/^# HELP signalloop_model_version .+\n# TYPE signalloop_model_version gauge\nsignalloop_model_version\{symbol="BTCUSDT",timeframe="1h"\} 1$/m)
  expect(api).toContain(`signalloop_candles_until_timestamp_seconds{symbol="BTCUSDT",timeframe="1h"} ${YESTERDAY / 1000}\n`)
  // Nothing closed, so there is no rate; a rate of 0 would be an alarm.
  expect(api).not.toContain('signalloop_success_ratio')
})
