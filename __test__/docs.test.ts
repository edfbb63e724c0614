// Runs every code block of the README and of docs/, in a project with signalloop installed, against the test exchange:
//
//   ts    a complete program. With `<!-- serves PATH -->` before it, the test requests that path and stops the program.
//   sh    commands. With `<!-- until Ctrl-C -->` before them they get a SIGINT once they run; with `<!-- in CI -->` they are not run, and
//         must be commands of .ci/run.
//   json  needs `<!-- file: NAME -->` before it: the block is written to that file of a home, and doctor must find no fault.
//   With `<!-- from FILE -->` before it, a block is not run here: it must be a part of that file, which has a test of its own.
//   text  not run: layouts, drawings. With `<!-- printed by it -->` before it, it must equal the output of the program before.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ROOT, runNode, spawnKept } from './helpers/child'
import { startExchange, type Exchange } from './helpers/exchange'
import { newHome, newLoop } from './helpers/home'
import type { SignalInput } from '..'

interface Block {
  language: string
  /** The comment before it. */
  note: string
  text: string
  place: string
}

const FILES = ['README.md', ...readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)]
const BLOCK = /(?:^<!-- (.*) -->\n+)?^```(.*)\n([\s\S]*?)^```$/gm

const blocksOf = (file: string): Block[] =>
  [...readFileSync(join(ROOT, file), 'utf8').matchAll(BLOCK)].map(({ 1: note = '', 2: language = '', 3: text = '' }, i) => {
    return { note, language, text, place: `${file}, block ${i + 1} (${language})` }
  })

let exchange: Exchange
let project: string

const environment = (home: string): NodeJS.ProcessEnv => ({
  ...process.env,
  SIGNALLOOP_HOME: home,
  SIGNALLOOP_EXCHANGE_URL: exchange.url,
  // What the example of docs/alerts.md names. Nothing is sent to them.
  TELEGRAM_TOKEN: '1:a',
  DISCORD_WEBHOOK: 'http://127.0.0.1:9/a',
  ALERT_SECRET: 'b',
  PATH: `${join(project, 'node_modules', '.bin')}:${process.env.PATH}`,
})

/** Signals of the two days before the last candle, each at the close of one. */
function pastSignals(): SignalInput[] {
  const rows = readFileSync(join(project, 'old.csv'), 'utf8').trim().split('\n').slice(-48, -1)
  return rows.flatMap((row, n) => {
    const [time, , , , close] = row.split(',') as [string, string, string, string, string]
    const [entryPrice, timestamp] = [Number(close), new Date(`${time.replace(' ', 'T').replace('Z', '')}Z`).getTime() + 3_600_000]
    const signal = { id: `past-${n}`, pair: 'BTC/USDT', timeframe: '1h', signalType: 'BUY', confidence: 60, entryPrice, timestamp } as const
    return n % 4 === 0 ? [{ ...signal, stopLoss: 0.99 * entryPrice, takeProfit: 1.015 * entryPrice }] : []
  })
}

/**
 * A home of two markets with candles, signals of two days, two versions of each model; beside it candles from elsewhere as `old.csv`, and signals as
 * `signals.jsonl`.
 */
async function preparedHome(): Promise<string> {
  const home = newHome()
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: ['BTCUSDT', 'ETHUSDT'], timeframes: ['1h'], history_days: 60, trees: 10 }))
  for (let version = 1; version <= 2; version++) {
    const { code, stdout } = await runNode([join(ROOT, 'bin', 'signalloop.js'), 'train'], { env: environment(home) })
    expect([code, stdout]).toEqual([0, expect.stringContaining('2/2')])
  }
  copyFileSync(join(home, 'data', 'btcusdt_1h.csv'), join(project, 'old.csv'))
  const loop = newLoop({ home, exchangeUrl: exchange.url })
  await loop.feedbackTracker.recordSignal({ id: 'before', pair: 'BTC/USDT', signalType: 'BUY', confidence: 60, entryPrice: 100, timestamp: Date.now() })
  await loop.feedbackTracker.recordSignals(pastSignals())
  await loop.close()
  writeFileSync(join(project, 'signals.jsonl'), pastSignals().map((signal) => `${JSON.stringify({ ...signal, id: `other-${signal.id}` })}\n`).join(''))
  return home
}

interface Running {
  child: ChildProcess
  output: () => string
  ended: Promise<[number | null, NodeJS.Signals | null]>
}

/** With its whole group it is killed after a minute: what hangs would keep Jest alive for good. */
function start(command: string, args: string[], env: NodeJS.ProcessEnv): Running {
  const child = spawnKept(command, args, { cwd: project, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
  const running = { child, output: () => output, ended: once(child, 'close') as Running['ended'] }
  const deadline = setTimeout(() => signal(running, 'SIGKILL'), 60_000)
  child.once('close', () => clearTimeout(deadline))
  return running
}

/** To the whole group, as a terminal does it. */
const signal = ({ child }: Running, name: NodeJS.Signals) => process.kill(-child.pid!, name)

async function eventually<T>(running: Running, look: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; ) {
    const found = await look().catch(() => undefined)
    if (found !== undefined) return found
    if (running.child.exitCode !== null) throw new Error(`it ended with ${running.child.exitCode}: ${running.output()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  signal(running, 'SIGKILL')
  throw new Error(`nothing came of it: ${running.output()}`)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  return port
}

/** What it prints, in a home that is empty unless one is given; nothing for one that serves. */
async function runProgram({ note, text }: Block, number: number, home = newHome()): Promise<string> {
  const file = join(project, `program-${number}.ts`)
  writeFileSync(file, text)
  const port = await freePort()
  const running = start(process.execPath, ['--import', 'tsx', file], { ...environment(home), PORT: String(port) })
  const path = /^serves (\/.*)$/.exec(note)?.[1]
  if (path === undefined) {
    expect([await running.ended, running.output()]).toEqual([[0, null], expect.not.stringMatching(/error/i)])
    return running.output()
  }
  const answer = await eventually(running, async () => fetch(`http://127.0.0.1:${port}${path}`))
  expect([answer.status, await answer.text()]).toEqual([200, expect.stringMatching(/./)])
  signal(running, 'SIGKILL')
  await running.ended
  return ''
}

async function runCommands({ note, text }: Block, home: string): Promise<void> {
  if (note === 'in CI') {
    const ci = readFileSync(join(ROOT, '.ci', 'run'), 'utf8').split('\n')
    for (const command of text.trim().split(/\n|&&/)) {
      expect(ci.some((line) => line.startsWith(command.trim()))).toBe(true)
    }
    return
  }
  const running = start('bash', ['-euo', 'pipefail', '-c', text], environment(home))
  if (note === 'until Ctrl-C') {
    // Once it offers that, it listens. A signal that comes while npx starts it is lost now and then, in npx.
    await eventually(running, async () => (running.output().includes('Ctrl-C') ? true : undefined))
    signal(running, 'SIGINT')
  }
  const [code, by] = await running.ended
  // npx and bash hand on a SIGINT that their child ended well after.
  const well = code === 0 || (note === 'until Ctrl-C' && by === 'SIGINT')
  expect([well, code, by, running.output()]).toEqual([true, code, by, expect.not.stringMatching(/^error/m)])
}

async function checkFile({ note, text }: Block): Promise<void> {
  const name = /^file: ([\w./]+)$/.exec(note)?.[1]
  if (name === undefined) throw new Error('a json block says which file it is: <!-- file: NAME -->')
  const home = newHome()
  mkdirSync(dirname(join(home, name)), { recursive: true })
  writeFileSync(join(home, name), text)
  const { stdout } = await runNode([join(ROOT, 'bin', 'signalloop.js'), 'doctor', '--json'], { env: environment(home) })
  const { findings } = JSON.parse(stdout) as { findings: { check: string; state: string; what: string }[] }
  const concerned = findings.filter(({ check }) => check === 'configuration' || check === 'signals')
  expect(concerned.filter(({ state }) => state !== 'fine')).toEqual([])
  if (name.endsWith('signals.jsonl')) {
    expect(concerned).toContainEqual(expect.objectContaining({ check: 'signals', what: expect.stringMatching(/^[1-9]\d* signals?/) }))
  }
}

// The commands need a shell that Windows does not have.
(process.platform === 'win32' ? describe.skip : describe)('every code block runs', () => {
  beforeAll(async () => {
    exchange = await startExchange({ seed: 5, symbols: ['BTCUSDT', 'ETHUSDT', 'LUNAUSDT'], days: 70 })
    project = mkdtempSync(join(tmpdir(), 'signalloop-docs-'))
    const modules = join(project, 'node_modules')
    mkdirSync(join(modules, '.bin'), { recursive: true })
    symlinkSync(ROOT, join(modules, 'signalloop'), 'dir')
    symlinkSync(join(ROOT, 'bin', 'signalloop.js'), join(modules, '.bin', 'signalloop'))
    for (const name of ['express', 'fastify', 'tsx']) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name), 'dir')
    writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'backend', type: 'module', private: true }))
  })
  afterAll(async () => {
    await exchange.stop()
    rmSync(project, { recursive: true, force: true })
  })

  test.each(FILES.map((file) => [file, blocksOf(file)] as const).filter(([, blocks]) => blocks.length > 0))('%s', async (_file, blocks) => {
    const home = blocks.some(({ language }) => language === 'sh') ? await preparedHome() : ''
    let printed = ''
    for (const [number, block] of blocks.entries()) {
      try {
        const source = /^from ([\w./-]+)$/.exec(block.note)?.[1]
        if (source !== undefined) expect(readFileSync(join(ROOT, source), 'utf8')).toContain(block.text)
        else if (block.language === 'ts') printed = await runProgram(block, number)
        else if (block.language === 'sh') await runCommands(block, home)
        else if (block.language === 'json') await checkFile(block)
        else {
          expect(block.language).toBe('text')
          if (block.note === 'printed by it') expect(printed).toBe(block.text)
        }
      } catch (error) {
        throw new Error(`${block.place}: ${(error as Error).message}`)
      }
    }
  }, 120_000)

  test('the first program may be run again, and leaves nothing in the home', async () => {
    const [home, blocks] = [newHome(), blocksOf('README.md')]
    const first = blocks.find(({ language }) => language === 'ts')!
    const printed = [await runProgram(first, 1000, home), await runProgram(first, 1000, home)]
    expect(printed).toEqual(Array(2).fill(blocks.find(({ note }) => note === 'printed by it')!.text))
    expect(readdirSync(home)).toEqual([])
  })
})

test('the README comes to the first learned signal within two screens', () => {
  const lines = readFileSync(join(ROOT, 'README.md'), 'utf8').split('\n')
  const learned = lines.findIndex((line) => line.includes('feedbackTracker.assess('))
  expect(learned).toBeGreaterThan(0)
  expect(learned).toBeLessThan(100)
})

test('every crate is in the drawing of the architecture', () => {
  const crates = readdirSync(join(ROOT, 'crates')).filter((name) => name !== 'testkit')
  const drawing = /```text\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, 'docs', 'architecture.md'), 'utf8'))![1]!
  expect(crates.length).toBeGreaterThan(10)
  expect(crates.filter((name) => !new RegExp(`\\b${name}\\b`).test(drawing))).toEqual([])
})

test('what a document links to is there', () => {
  const targets = FILES.flatMap((file) => {
    const links = readFileSync(join(ROOT, file), 'utf8').matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[\w-]+)?\)/g)
    return [...links].map(([, target]) => join(dirname(file), target!))
  })
  expect(targets.length).toBeGreaterThan(10)
  expect(targets.filter((target) => !existsSync(join(ROOT, target)))).toEqual([])
})
