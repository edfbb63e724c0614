import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SignalLoop } from '..'
import { HOUR, candles, storeCandles } from './helpers/candles'
import { ROOT, runNode } from './helpers/child'
import { NOWHERE, newHome } from './helpers/home'

const YESTERDAY = Math.floor(Date.now() / HOUR - 24) * HOUR

const signalloop = (home: string, ...args: string[]) =>
  runNode([join(ROOT, 'bin', 'signalloop.js'), ...args], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE } })

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
    { stored: ['BTCUSDT', 'ETHUSDT'], code: 0, last: 'Success: 2/2 models trained (100%)' },
    { stored: ['BTCUSDT'], code: 3, last: 'Success: 1/2 models trained (50%)' },
    { stored: [], code: 1, last: 'Success: 0/2 models trained (0%)' },
  ]
  for (const { stored, code, last } of cases) {
    const ended = await signalloop(homeWith(['BTCUSDT', 'ETHUSDT'], stored), 'train')
    const lines = ended.stdout.trim().split('\n')
    expect([ended.code, lines.at(-1)]).toEqual([code, last])
    for (const symbol of ['BTCUSDT', 'ETHUSDT']) {
      const line = lines.find((text) => text.startsWith(`Training ${symbol} 1h...`))!
      if (stored.includes(symbol)) expect(line).toMatch(/\.\.\. ✓ \d+ rows .* log loss 0\.\d{4} \(constant 0\.\d{4}\)/)
      else expect(line).toMatch(/\.\.\. ✗ .*connection refused.*_1h\.csv does not exist.*\[ERR_EXCHANGE\]/)
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
  // The same figures under the same names as the API's.
  expect(stats).toEqual(JSON.parse(JSON.stringify(api)))
  expect((await signalloop(home, 'stats')).stdout).toMatch(/all +1 +0 +100\.0 %/)
})

test('retrain leaves young models alone', async () => {
  const home = homeWith(['BTCUSDT'], ['BTCUSDT'])
  await signalloop(home, 'train')
  const again = await signalloop(home, 'retrain', '--max-age', '24')
  expect(again.stdout).toContain('1 models are young enough')
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
    [['predict', '--symbol', 'XRPUSDT'], 1, ['error']],
    [['predict'], 2, ['error']],
    [['trian'], 2, ['error']],
  ]
  for (const [args, code, keys] of commands) {
    const ended = await signalloop(home, ...args, '--json')
    const document = JSON.parse(ended.stdout) as Record<string, unknown>
    expect([args, ended.code, keys.filter((key) => !(key in document))]).toEqual([args, code, []])
    if (code === 2) expect(document.error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(args.length > 0 && args[0] === 'predict' ? '--symbol' : 'trian') })
  }
}, 60_000)

test('a market without candles says how to get them, also when nothing is to be fetched', async () => {
  const { results } = JSON.parse((await signalloop(homeWith(['BTCUSDT'], []), 'train', '--no-fetch', '--json')).stdout)
  expect(JSON.stringify(results)).toMatch(/ERR_NO_DATA.*no candles of BTCUSDT 1h: .*does not exist; fetch them with `signalloop fetch --symbol BTCUSDT --timeframe 1h`|no candles of BTCUSDT 1h.*ERR_NO_DATA/)
})

test('help is on standard output and names every command', async () => {
  const { code, stdout, stderr } = await signalloop(newHome(), '--help')
  expect([code, stderr]).toEqual([0, ''])
  for (const command of ['train', 'retrain', 'fetch', 'predict', 'stats', 'models', 'report', 'dashboard', 'rollback', 'import', 'export', 'compact', 'demo', 'simulator']) {
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
  // What never ran is due now, whenever that is.
  const settled = (text: string) => text.split('\n').filter((line) => !line.startsWith('signalloop_task_next_run_'))
  expect([code, settled(stdout)]).toEqual([0, settled(api)])
  expect(api).toMatch(/^# HELP signalloop_model_version .+\n# TYPE signalloop_model_version gauge\nsignalloop_model_version\{symbol="BTCUSDT",timeframe="1h"\} 1$/m)
  expect(api).toContain(`signalloop_candles_until_timestamp_seconds{symbol="BTCUSDT",timeframe="1h"} ${YESTERDAY / 1000}\n`)
  // Nothing closed, so there is no rate; a rate of 0 would be an alarm.
  expect(api).not.toContain('signalloop_success_ratio')
})
