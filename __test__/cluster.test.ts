import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ROOT, runNode, spawnKept } from './helpers/child'
import { newHome, newLoop, records } from './helpers/home'

const program = (name: string) => join(__dirname, 'programs', name)

/** A process that reads the statistics until `end()`, which gives what it read last. */
async function startReader(env: NodeJS.ProcessEnv) {
  const child = spawnKept(process.execPath, [program('read-stats.cjs')], { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  expect((await lines.next()).value).toBe('open')
  return {
    async end() {
      child.stdin.write('end\n')
      const { value } = await lines.next()
      if (child.exitCode === null) await once(child, 'exit')
      expect(child.exitCode).toBe(0)
      return JSON.parse(value) as { reads: number; overall: object; recovery: object }
    },
  }
}

test('four cluster workers, a compacting command line and a reader lose and double nothing', async () => {
  const home = newHome()
  const env = { SIGNALLOOP_HOME: home }
  const own = newLoop({ home })
  expect((await own.feedbackTracker.getStats()).overall.totalSignals).toBe(0)
  const reader = await startReader(env)

  let running = true
  const backend = runNode([program('cluster.cjs')], { env }).finally(() => (running = false))
  let compactions = 0
  while (running) {
    expect(await runNode([join(ROOT, 'bin', 'signalloop.js'), 'compact'], { env })).toMatchObject({ code: 0, stderr: '' })
    compactions += 1
  }
  const { code, stdout, stderr } = await backend
  expect([code, stderr]).toEqual([0, ''])
  const { closed, codes } = JSON.parse(stdout) as { closed: string[][]; codes: number[] }
  expect(codes).toEqual([0, 0, 0, 0])
  expect(compactions).toBeGreaterThan(0)

  const ids = [0, 1, 2, 3].flatMap((worker) => Array.from({ length: 250 }, (_, n) => `${worker}-${n}`)).sort()
  // Each signal was closed by one worker, which alone was told so.
  expect(closed.flat().sort()).toEqual(ids)
  const expected = { totalSignals: 1000, closedSignals: 1000, tookProfit: 1000, activeSignals: 0 }
  // Those that had the home open all the while see it without being restarted.
  const seen = await reader.end()
  expect(seen.overall).toMatchObject(expected)
  expect(seen.reads).toBeGreaterThan(1)
  expect((await own.feedbackTracker.getStats()).overall).toMatchObject(expected)
  const clean = { damaged: 0, contradictions: 0, setAside: 0 }
  expect(seen.recovery).toMatchObject(clean)
  expect(await own.feedbackTracker.recovery()).toMatchObject(clean)

  await own.feedbackTracker.compact()
  const stored = records(home)
  expect([...stored.keys()].sort()).toEqual(ids)
  expect([...stored.values()].every((record) => record.outcome === 'TOOK_PROFIT')).toBe(true)
}, 60_000)
