import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { newHome, newLoop } from './helpers/home'
import { spawnKept } from './helpers/child'

test.each([1, 2, 3])('kill -9 loses no acknowledged signal, round %i', async () => {
  const home = newHome()
  const env = { ...process.env, SIGNALLOOP_HOME: home }
  const child = spawnKept(process.execPath, [join(__dirname, 'programs', 'record-forever.cjs')], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const acknowledged: string[] = []
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (id) => acknowledged.push(id))
  const ended = Promise.all([once(child, 'exit'), once(lines, 'close')])
  await once(lines, 'line')
  setTimeout(() => child.kill('SIGKILL'), 20 + 300 * Math.random())
  const [[, by]] = await ended
  expect(by).toBe('SIGKILL')
  expect(acknowledged.length).toBeGreaterThan(0)

  // Opening the store repairs its end.
  const { overall } = await newLoop({ home }).feedbackTracker.getStats()
  const text = readFileSync(join(home, 'feedback', 'signals.jsonl'), 'utf8')
  expect(text.endsWith('\n')).toBe(true)
  const stored = text.trim().split('\n').map((line) => (JSON.parse(line) as { signal_id: string }).signal_id)
  expect(new Set(stored).size).toBe(stored.length)
  expect(stored.slice(0, acknowledged.length)).toEqual(acknowledged)
  // One more may have been written, and not acknowledged any more.
  expect(stored.length - acknowledged.length).toBeLessThanOrEqual(1)
  expect(overall.totalSignals).toBe(stored.length)
})
