// Signals of other tools, from Node and from the command line. What each format holds is tested in crates/readers.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SignalLoop, fromText, fromTradingView } from '..'
import { ROOT, runNode } from './helpers/child'
import { NOWHERE, newHome } from './helpers/home'

const FIXTURES = join(ROOT, 'crates', 'readers', 'tests', 'fixtures')
const SENT = Date.parse('2026-03-01T00:00:00Z')

const MESSAGE = `⚡ #BTC/USDT ⚡
Signal Type: Regular (Long)
Leverage: Cross (10X)
Entry Targets:
1) 67,250
Take-Profit Targets:
1) 68500 - 50%
2) 70000 - 50%
Stop Targets:
1) 66000
Trailing Configuration:
Stop: Breakeven - Trigger: Target (1)`

const signalloop = (home: string, ...args: string[]) =>
  runNode([join(ROOT, 'bin', 'signalloop.js'), ...args], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE } })

test('a message is read, and recorded as it is', async () => {
  const signals = fromText(MESSAGE, { at: new Date(SENT), confidence: 60, source: 'a channel', idPrefix: 'a:' })
  expect(signals).toEqual([
    {
      id: expect.stringMatching(/^a:[0-9a-f]{24}$/),
      symbol: 'BTCUSDT',
      signalType: 'BUY',
      confidence: 60,
      entryPrice: 67250,
      entryType: 'limit',
      stopLoss: 66000,
      takeProfits: [{ price: 68500, share: 50 }, { price: 70000, share: 50 }],
      stopRules: { breakEvenAfterTarget: 1 },
      timestamp: SENT,
      leverage: 10,
      source: 'a channel',
    },
  ])
  expect(fromText(MESSAGE, { at: SENT, idPrefix: 'a:' })[0]!.id).toBe(signals[0]!.id)
  const loop = new SignalLoop({ home: newHome(), exchangeUrl: NOWHERE })
  await loop.feedbackTracker.recordSignals(signals)
  // The same message again is the same signal.
  await loop.feedbackTracker.recordSignals(signals)
  await loop.close()
})

test('an alert is read', () => {
  const alert = { ticker: 'BINANCE:ETHUSDT.P', action: 'sell', price: '2300.5', sl: '2350', tp: 2200, interval: '60', timenow: '2026-03-01T00:00:00Z', rsi: '71' }
  expect(fromTradingView(JSON.stringify(alert))).toEqual([
    {
      id: expect.stringMatching(/^[0-9a-f]{24}$/),
      symbol: 'ETHUSDT',
      timeframe: '1h',
      signalType: 'SELL',
      entryPrice: 2300.5,
      stopLoss: 2350,
      takeProfit: 2200,
      timestamp: SENT,
      source: 'tradingview',
      indicators: { rsi: 71 },
    },
  ])
})

test('what cannot be read is thrown with its place', () => {
  const refused = (work: () => unknown) => {
    try {
      return work()
    } catch (error) {
      return [(error as { code?: string }).code, (error as Error).message]
    }
  }
  const code = 'ERR_INVALID_ARGUMENT'
  expect(refused(() => fromText(MESSAGE.replace('1) 66000', '1) 66000\n2) 65000')))).toEqual([code, 'argument `text` at line 11, column 4: is a second stop, after 66000; got 65000'])
  expect(refused(() => fromTradingView('{ "ticker": "{{ticker}}", "action": "buy" }'))).toEqual([code, 'argument `text` at the alert.ticker: TradingView has not filled this placeholder; got {{ticker}}'])
  expect(refused(() => fromTradingView('{ "ticker": {{ticker}} }'))).toEqual([code, 'argument `text` at line 1, column 13: TradingView has not filled this placeholder; got {{ticker}}'])
  for (const [options, message] of [
    [{ at: 'soon' }, /`at`/],
    [{ timeframe: '7h' }, /`timeframe`/],
    [{ timezone: 'Mars' }, /`timezone`/],
    [{ confidence: 101 }, /`confidence`/],
    [{ source: '' }, /`source`/],
    [{ tiemframe: '1h' }, /no member `tiemframe`/],
    [5, /`options`/],
  ] as const) {
    expect(refused(() => fromText(MESSAGE, options as object))).toEqual([code, expect.stringMatching(message)])
  }
  expect(refused(() => fromText(5 as unknown as string))).toEqual([code, expect.stringMatching(/`text` must be a string/)])
})

test('the command line imports a backtest of freqtrade once, and lists what it refuses', async () => {
  const home = newHome()
  const file = join(FIXTURES, 'freqtrade', 'backtest-result-spot.zip')
  const first = await signalloop(home, 'import', '--from', 'freqtrade', file, '--json')
  expect([first.code, JSON.parse(first.stdout)]).toEqual([0, { signals: 15, imported: 15, closed: 0, known: 0, refused: [] }])
  const again = await signalloop(home, 'import', '--from', 'freqtrade', file, '--json')
  expect([again.code, JSON.parse(again.stdout)]).toEqual([0, { signals: 15, imported: 0, closed: 0, known: 15, refused: [] }])

  const result = JSON.parse(readFileSync(join(FIXTURES, 'freqtrade', 'backtest-result-spot.json'), 'utf8'))
  const { trades } = result.strategy.CrossSpot
  // Refused by the reader, and by the store: the same trade with another end.
  trades[2].open_rate = 'much'
  trades[0].exit_reason = 'exit_signal'
  const changed = join(home, 'changed.json')
  writeFileSync(changed, JSON.stringify(result))
  const partly = await signalloop(home, 'import', '--from', 'freqtrade', changed, '--json')
  expect([partly.code, JSON.parse(partly.stdout)]).toEqual([
    3,
    {
      signals: 15,
      imported: 0,
      closed: 0,
      known: 13,
      refused: [
        { place: 'strategy.CrossSpot.trades[2].open_rate', reason: 'must be a finite number; got "much"' },
        { place: 'strategy.CrossSpot.trades[0]', reason: expect.stringMatching(/./) },
      ],
    },
  ])
  const text = await signalloop(home, 'import', '--from', 'freqtrade', changed)
  expect(text.stdout).toContain('15 signals in ')
  expect(text.stdout).toContain('\n  strategy.CrossSpot.trades[2].open_rate: must be a finite number; got "much"\n')
})

test('the command line reads messages and exports, and needs a time where there is none', async () => {
  const home = newHome()
  const messages = join(home, 'messages.txt')
  writeFileSync(messages, `${MESSAGE}\n---\n${MESSAGE.replace('BTC', 'ETH').replace('1) 66000', '1) 0,5')}`)
  const timeless = await signalloop(home, 'import', '--from', 'text', messages, '--json')
  expect([timeless.code, JSON.parse(timeless.stdout).refused.map(({ place }: { place: string }) => place)]).toEqual([1, ['line 1', 'line 23, column 4']])
  const timed = await signalloop(home, 'import', '--from', 'text', messages, '--at', '2026-03-01T00:00Z', '--source', 'a channel', '--json')
  expect([timed.code, JSON.parse(timed.stdout)]).toMatchObject([3, { signals: 2, imported: 1, refused: [{ place: 'line 23, column 4' }] }])
  for (const [format, file, signals] of [['jesse', 'jesse/backtest.json', 4], ['backtest-kit', 'backtest-kit/storage.json', 4]] as const) {
    const { code, stdout } = await signalloop(home, 'import', '--from', format, join(FIXTURES, file), '--json')
    expect([format, code, JSON.parse(stdout)]).toMatchObject([format, 0, { signals, imported: signals, refused: [] }])
  }
  for (const args of [['--from', 'mt4', messages], [messages, '--at', '2026-03-01'], ['--from', 'text', messages, '--confidence', '200']]) {
    expect((await signalloop(home, 'import', ...args)).code).toBe(2)
  }
  expect((await signalloop(home, 'import', '--from', 'text', join(home, 'none.txt'))).code).toBe(1)
})
