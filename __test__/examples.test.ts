import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { HOUR, candles, storeCandles } from './helpers/candles'
import { ROOT, runNode } from './helpers/child'
import { NOWHERE, newHome } from './helpers/home'

const TSX = join(ROOT, 'node_modules', 'tsx', 'dist', 'cli.mjs')
const example = (name: string) => join(ROOT, 'ts-examples', `${name}.ts`)
const run = (name: string, home = newHome()) =>
  runNode([TSX, example(name)], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE } })

test('closing-loop closes signals and ends by itself', async () => {
  const { code, stdout, stderr } = await run('closing-loop')
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/(BUY|SELL) of [\d.]+: (TOOK_PROFIT|STOPPED_OUT|SUCCESS|FAILURE) at [\d.]+, -?[\d.]+ %/)
  const [, closed, total] = /(\d+) of (\d+) signals closed, \d+ % succeeded/.exec(stdout)!
  expect(Number(total)).toBe(6)
  expect(Number(closed)).toBeGreaterThanOrEqual(3)
})

test('custom-exchange trains on its own candles, page by page', async () => {
  const { code, stdout, stderr } = await run('custom-exchange')
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout.match(/asked for BTCUSD from/g)!.length).toBeGreaterThanOrEqual(2)
  expect(stdout).toMatch(/BTCUSD 1h: trained on [56]\d\d rows/)
  expect(stdout).toMatch(/^(BUY|SELL|HOLD): .+/m)
})

test('retrain-script ends with 0 when every model is young, and with 1 when one is not', async () => {
  const home = newHome()
  const configuration = { symbols: ['BTCUSDT'], timeframes: ['1h'], trees: 10 }
  writeFileSync(join(home, 'training_config.json'), JSON.stringify(configuration))
  const failed = await run('retrain-script', home)
  expect(failed.stdout).toContain('1/1 BTCUSDT 1h: failed')
  expect(failed.stderr).toContain('btcusdt_1h.csv does not exist')
  expect(failed.code).toBe(1)

  storeCandles(home, candles(400))
  const trained = await run('retrain-script', home)
  expect(trained.stdout).toContain('1 trained, 0 failed, 0 young enough')
  expect([trained.code, trained.stderr]).toEqual([0, ''])

  const young = await run('retrain-script', home)
  expect(young.stdout).toContain('0 trained, 0 failed, 1 young enough')
  expect(young.code).toBe(0)
})

test('express-backend records, closes, counts and explains its errors', async () => {
  const env = { ...process.env, SIGNALLOOP_HOME: newHome(), SIGNALLOOP_EXCHANGE_URL: NOWHERE, PORT: '0' }
  // --import and not tsx's own process, so that the signal below reaches the server itself.
  const child = spawn(process.execPath, ['--import', 'tsx', example('express-backend')], { cwd: ROOT, env })
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    const url = line.replace('listening on ', '')
    const post = (path: string, body: object) =>
      fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    const timestamp = new Date(Date.now() - HOUR).toISOString()
    const signal = { id: 'a', pair: 'BTC/USDT', signalType: 'BUY', confidence: 70, entryPrice: 100, takeProfit: 104, timestamp }

    expect((await post('/signals', signal)).status).toBe(201)
    const conflict = await post('/signals', { ...signal, entryPrice: 101 })
    expect([conflict.status, await conflict.json()]).toMatchObject([409, { code: 'ERR_SIGNAL_CONFLICT' }])
    const bad = await post('/signals', { ...signal, id: 'b', entryPrice: 'much' })
    expect([bad.status, await bad.json()]).toMatchObject([400, { message: expect.stringContaining('entryPrice') }])
    expect(await (await post('/prices', { pair: 'BTCUSDT', price: 105 })).json()).toMatchObject([{ id: 'a', outcome: 'TOOK_PROFIT' }])
    expect(await (await fetch(`${url}/stats`)).json()).toMatchObject({ overall: { closedSignals: 1, successRate: 100 } })
    const nothing = await fetch(`${url}/signal/BTCUSDT`)
    expect([nothing.status, await nothing.json()]).toMatchObject([404, { code: 'ERR_NO_DATA' }])

    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
  } finally {
    child.kill('SIGKILL')
  }
})
