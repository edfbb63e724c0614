import { ask, expectToLearn, signal } from './helpers/conversation'
import { newHome } from './helpers/home'
import { BUN, DENO, NODE, run, serveExample, type Runtime } from './helpers/program'

const RUNTIMES: [string, Runtime][] = [['Node.js', NODE], ['Bun', BUN], ['Deno', DENO]]
test.each(RUNTIMES)('a server of node:http runs in %s, hears its events, and ends well', async (_name, runtime) => {
  const server = await serveExample('node/server.ts', { SIGNALLOOP_HOME: newHome() }, runtime)
  try {
    await expectToLearn(server, '/stats')
    expect(await ask(server, '/assess', signal('c'))).toMatchObject({ status: 200, body: { closed: 1, take: false } })
    expect((await fetch(`${server.url}/nowhere`)).status).toBe(404)
  } finally {
    expect(await server.stop()).toEqual({ code: 0, stderr: '', stdout: expect.stringContaining('a: TOOK_PROFIT\n') })
  }
})

test.each(RUNTIMES.slice(1))('%s trains on candles of a callback, and has worker threads and child processes', async (_name, runtime) => {
  const trained = await run('custom-exchange/main.ts', { SIGNALLOOP_HOME: newHome() }, runtime)
  expect(trained).toEqual({ code: 0, stderr: '', stdout: expect.stringMatching(/BTCUSD 1h: trained on [56]\d\d rows\n(BUY|SELL|HOLD): .+/) })
  expect(await run('worker-threads/main.ts', { SIGNALLOOP_HOME: newHome() }, runtime)).toEqual({
    code: 0, stdout: '150 of 150 signals of 3 threads closed\n', stderr: '',
  })
  expect(await run('cluster/main.ts', { SIGNALLOOP_HOME: newHome() }, runtime)).toEqual({
    code: 0, stdout: '100 of 100 closed, 100 told, 0 told twice\n', stderr: '',
  })
})

test('NestJS opens the loop with the application and closes it with it', async () => {
  const home = newHome()
  const server = await serveExample('nestjs/server.ts', { SIGNALLOOP_HOME: home })
  try {
    await expectToLearn(server, '/stats')
    expect(await ask(server, '/assess', signal('c'))).toMatchObject({ status: 200, body: { closed: 1 } })
    expect(await ask(server, '/signals', { ...signal('a'), entryPrice: 101 })).toMatchObject({ status: 409, body: { code: 'ERR_SIGNAL_CONFLICT' } })
    expect((await fetch(`${server.url}/nowhere`)).status).toBe(404)
  } finally {
    const { stdout } = await server.stop()
    expect(stdout.trim().split('\n').slice(1)).toEqual(['a: TOOK_PROFIT', 'the loop is closed'])
  }
})
