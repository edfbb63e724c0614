import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { candles, storeCandles } from './helpers/candles'
import { ROOT, runNode } from './helpers/child'
import { NOWHERE, newHome } from './helpers/home'
import { runOnTerminal } from './helpers/terminal'

const CLI = join(ROOT, 'bin', 'signalloop.js')
const ESCAPE = '\u001b'

function home(): string {
  const home = newHome()
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: ['BTCUSDT'], timeframes: ['1h'], trees: 200, tres: 1 }))
  storeCandles(home, candles(2000))
  return home
}
const TRAIN = [CLI, 'train', '--no-fetch']
const env = (home: string, more: NodeJS.ProcessEnv = {}) => ({ SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE, TERM: 'xterm-256color', ...more })

// `script` of util-linux makes the terminal.
const onLinux = process.platform === 'linux' ? test : test.skip

onLinux('on a terminal: colours, and bars with rate and remaining time', async () => {
  const shown = await runOnTerminal(TRAIN, env(home()))
  expect(shown).toContain(`${ESCAPE}[33mwarning:${ESCAPE}[0m`)
  expect(shown).toMatch(/█+.* \d+\/\d+ fits of BTCUSDT 1h, [\d.,]+\/s, about \d+s left/)
  expect(shown).toMatch(/\d+\/1 models, .*\/s, \d+s elapsed, about \d+s left/)
  expect(shown).toContain('Success: 1/1 models trained')
})

onLinux('NO_COLOR takes the colours off, --quiet the bars, --json both', async () => {
  const colour = new RegExp(`${ESCAPE}\\[[0-9;]*m`)
  expect(await runOnTerminal(TRAIN, env(home(), { NO_COLOR: '1' }))).not.toMatch(colour)
  const quiet = await runOnTerminal([...TRAIN, '--quiet'], env(home()))
  expect(quiet).not.toMatch(/█|Training up to/)
  expect(quiet).toContain('Success: 1/1 models trained')
  const json = await runOnTerminal([...TRAIN, '--json'], env(home()))
  expect(json).not.toMatch(/█/)
  const document = json.slice(json.indexOf('{'))
  expect(JSON.parse(document)).toMatchObject({ successful: 1 })
})

test('off a terminal there is neither colour nor bar', async () => {
  for (const args of [TRAIN, [CLI, 'stats'], [CLI, 'doctor'], [CLI, 'train', '--nonsense']]) {
    const { stdout, stderr } = await runNode(args, { env: env(home()) })
    expect(stdout + stderr).not.toMatch(/\u001b|█/)
  }
})
