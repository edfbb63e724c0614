import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { SignalLoop } from '..'
import { HOUR, candles, storeCandles } from './helpers/candles'
import { ROOT, runNode, spawnKept } from './helpers/child'
import { startExchange } from './helpers/exchange'
import { NOWHERE, contents, newHome } from './helpers/home'
import { runOnTerminal, useTerminal, type Typed } from './helpers/terminal'

const CLI = join(ROOT, 'bin', 'signalloop.js')
const ESCAPE = '\u001b'
const COLOUR = new RegExp(`${ESCAPE}\\[[0-9;]*m`)

function home(): string {
  const home = newHome()
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: ['BTCUSDT'], timeframes: ['1h'], trees: 200, tres: 1 }))
  storeCandles(home, candles(2000))
  return home
}
const TRAIN = [CLI, 'train', '--no-fetch']
const env = (home: string, more: NodeJS.ProcessEnv = {}) => ({ SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: NOWHERE, TERM: 'xterm-256color', ...more })
const signalloop = (home: string, ...args: string[]) => runNode([CLI, ...args], { env: env(home) })

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
  expect(await runOnTerminal(TRAIN, env(home(), { NO_COLOR: '1' }))).not.toMatch(COLOUR)
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

describe('what is printed fits', () => {
  /** A home with two models, a damaged one, and closed signals. */
  async function fullHome(): Promise<string> {
    const home = newHome()
    const symbols = ['BTCUSDT', 'ETHUSDT', '1000SHIBUSDT']
    writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols, timeframes: ['1h'], trees: 10 }))
    for (const [seed, symbol] of symbols.entries()) storeCandles(home, candles(700, { seed: seed + 1 }), `${symbol.toLowerCase()}_1h`)
    const loop = new SignalLoop({ home, exchangeUrl: NOWHERE })
    expect((await loop.train({ fetch: false })).successful).toBe(3)
    for (let n = 0; n < 40; n++) {
      const pair = symbols[n % 3]!
      const timestamp = Date.now() - (60 - n) * 6 * HOUR
      await loop.feedbackTracker.recordSignal({ id: `s${n}`, pair, signalType: n % 2 ? 'BUY' : 'SELL', confidence: 60, entryPrice: 100, stopLoss: n % 2 ? 98 : 102, takeProfit: n % 2 ? 103 : 97, timestamp })
      await loop.feedbackTracker.updateOutcome({ signalId: `s${n}`, outcome: n % 3 ? 'SUCCESS' : 'FAILURE', exitPrice: n % 3 === 0 ? 100 + (n % 2 ? -2 : 2) : 100 + (n % 2 ? 3 : -3), closedAt: timestamp + HOUR })
    }
    await loop.close()
    return home
  }
  let full: string
  beforeAll(async () => {
    full = await fullHome()
  })

  onLinux.each(['models', 'stats', 'doctor'])('%s on terminals of 60, 80, 120 and 200 columns, and on none', async (command) => {
    const { stdout } = await signalloop(full, command)
    expect(stdout).not.toMatch(COLOUR)
    const words = (text: string) => new Set(text.replace(/^A wider terminal.*$/m, '').split(/\s+/))
    for (const columns of [60, 80, 120, 200]) {
      const { shown } = await useTerminal([CLI, command], env(full, { NO_COLOR: '1' }), { columns })
      expect(shown).not.toMatch(COLOUR)
      const tooLong = shown.split('\n').filter((line) => line.length > columns && line.trim().includes(' '))
      // A word that is longer than the terminal, such as a path, cannot be broken.
      expect(tooLong.filter((line) => line.trim().split(' ').every((word) => word.length < columns / 2))).toEqual([])
      // Nothing is missing from the widest, and what is missing from another is said.
      const missing = [...words(stdout)].filter((word) => !words(shown).has(word) && !/^\d/.test(word))
      if (columns === 200) expect(missing.filter((word) => !/ms|second|minute/.test(word))).toEqual([])
      if (command === 'models' && columns <= 80) expect(shown).toMatch(/^A wider terminal shows also: since, rows/m)
    }
  })

  test('models is a table with ages in words, and tells the same reason once', async () => {
    const { stdout } = await signalloop(full, 'models')
    expect(stdout).toMatch(/^market +version +age +knows +better by +95 % interval/m)
    for (const symbol of ['BTCUSDT', 'ETHUSDT', '1000SHIBUSDT']) {
      expect(stdout).toMatch(new RegExp(`^${symbol} 1h +1 +(under a minute|\\d+ minutes?) +(something|perhaps|too early|no better|nothing yet) `, 'm'))
    }
    expect(stdout).toMatch(/^3 markets: version 1 in service: the first model.*; 1000SHIBUSDT 1h, BTCUSDT 1h, ETHUSDT 1h$/m)
  })
})

test('the same failure of many markets is told once, by every command that works on many', async () => {
  const home = newHome()
  const symbols = ['BTCUSDT', 'ETHUSDT', 'SOLUSDT', 'XRPUSDT']
  writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols, timeframes: ['1h', '4h'] }))
  const names = symbols.flatMap((symbol) => [`${symbol} 1h`, `${symbol} 4h`]).join(', ')
  const commands: [string[], RegExp][] = [
    [['train'], /connection refused/g],
    [['train', '--no-fetch'], /does not exist/g],
    [['fetch'], /connection refused/g],
    [['scheduler', 'once', '--task', 'fetch'], /connection refused/g],
    [['scheduler', 'status'], /connection refused/g],
  ]
  for (const [args, cause] of commands) {
    const { stdout } = await signalloop(home, ...args)
    expect([args, stdout.match(cause)?.length]).toEqual([args, 1])
    expect(stdout).toMatch(new RegExp(`8 markets: .*; ${names}`))
  }
  const files = ['a.csv', 'b.csv', 'c.csv'].map((name) => join(home, name))
  const { stdout } = await signalloop(home, 'data', 'check', ...files, '--timeframe', '1h')
  expect(stdout).toMatch(/^3 files: .*<file>.*a\.csv, .*b\.csv, .*c\.csv$/m)
})

describe('init', () => {
  const FILES = ['training_config.json', 'scheduler_config.json'] as const
  const read = (home: string) => JSON.parse(readFileSync(join(home, FILES[0]), 'utf8'))

  test('writes both files without a question, each key explained, and they are read without a warning', async () => {
    const home = join(newHome(), 'ml')
    const { code, stdout, stderr } = await signalloop(home, 'init', '--symbols', 'btc/usdt,ETHUSDT', '--timeframes', '4h', '--fee-bps', '7.5', '--exchange', NOWHERE)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain(`Written: ${join(home, FILES[0])}\nWritten: ${join(home, FILES[1])}\n`)
    expect(read(home)).toMatchObject({ symbols: ['BTCUSDT', 'ETHUSDT'], timeframes: ['4h'], fee_bps: 7.5, exchange_url: NOWHERE })
    // Every key of the documentation.
    for (const [file, document] of [[FILES[0], 'configuration.md'], [FILES[1], 'scheduler.md']] as const) {
      const keys = [...readFileSync(join(ROOT, 'docs', document), 'utf8').matchAll(/^\| `([\w.<>]+)`(?:, `\w+`)? \|(?:[^|]*\|){3}$/gm)].map(([, key]) => key!)
      expect(keys.length).toBeGreaterThan(12)
      const written = readFileSync(join(home, file), 'utf8')
      const noted = (key: string) => written.includes(`"// ${key}"`) || written.includes(`"// ${key.split('.').at(-1)}"`)
      expect(keys.filter((key) => !noted(key))).toEqual([])
    }
    const status = await signalloop(home, 'scheduler', 'status')
    expect([status.code, status.stderr]).toEqual([0, ''])
    for (const schedule of [/^watch +every 10 s/m, /^fetch +every 1 h/m, /^retrain +daily at 02:00/m, /^update +every 6 h/m, /^evaluate +every 12 h/m]) {
      expect(status.stdout).toMatch(schedule)
    }
    const { findings } = JSON.parse((await signalloop(home, 'doctor', '--json')).stdout)
    expect(findings.find(({ check }: { check: string }) => check === 'configuration')).toMatchObject({ state: 'fine' })
  })

  test('replaces nothing without --force, and refuses what is not allowed before anything is written', async () => {
    const home = newHome()
    expect((await signalloop(home, 'init', '--yes')).code).toBe(0)
    expect(read(home).symbols).toEqual(['BTCUSDT', 'ETHUSDT', 'BNBUSDT', 'SOLUSDT', 'XRPUSDT'])
    const before = contents(home)
    for (const args of [[], ['--yes'], ['--symbols', 'ADAUSDT']]) {
      const { code, stderr } = await signalloop(home, 'init', ...args)
      expect([code, stderr]).toEqual([1, expect.stringMatching(/training_config\.json.*\[ERR_INVALID_ARGUMENT\]/)])
      expect(stderr).toContain('--force')
    }
    const wrong: [string[], number, RegExp][] = [
      [['--symbols', '../x'], 2, /pair of letters and digits/],
      [['--timeframes', '7h'], 2, /must be one of 1m, /],
      [['--fee-bps', '-1'], 1, /`fee_bps` must be a number of basis points, 0 to 1000; got -1/],
      [['--exchange', 'nowhere-at-all'], 1, /nowhere-at-all/],
      [['--exchange', 'ftp://x'], 1, /http\(s\) URL/],
    ]
    for (const [args, code, message] of wrong) {
      const ended = await signalloop(home, 'init', '--force', ...args)
      expect([args, ended.code, ended.stderr]).toEqual([args, code, expect.stringMatching(message)])
    }
    expect(contents(home)).toEqual(before)
    expect((await signalloop(home, 'init', '--force', '--symbols', 'ADAUSDT')).code).toBe(0)
    expect(read(home).symbols).toEqual(['ADAUSDT'])
    // A file that is there stays when the other one is missing.
    const half = newHome()
    writeFileSync(join(half, FILES[0]), '{ "trees": 20 }')
    const { code, stdout } = await signalloop(half, 'init')
    expect([code, stdout]).toEqual([0, expect.stringContaining(`Kept as it is: ${join(half, FILES[0])}\nWritten: ${join(half, FILES[1])}\n`)])
    expect(read(half)).toEqual({ trees: 20 })
  })

  const QUESTIONS: Typed[] = [
    [/Symbols \[.*\] $/, 'BTCUSDT, ../x\n'],
    [/pair of letters[\s\S]*Symbols \[.*\] $/, 'sol/usdt btcusdt\n'],
    [/Timeframes \[1h, 4h\] $/, '7h\n'],
    [/must be one of 1m, [\s\S]*Timeframes \[1h, 4h\] $/, '\n'],
    [/Exchange \(.*\] $/, '\n'],
    [/Costs of a trade[\s\S]*\[10\] $/, '5000\n'],
    [/0 to 1000; got 5000[\s\S]*\[10\] $/, '12\n'],
  ]

  onLinux('asks on a terminal, and again where an answer is not allowed', async () => {
    const home = newHome()
    const { code, shown } = await useTerminal([CLI, 'init'], env(home), { typed: [...QUESTIONS, [/Fetch the candles now\?.*\[n\] $/, 'n\n']] })
    expect([code, shown]).toEqual([0, expect.stringContaining(`Written: ${join(home, FILES[0])}`)])
    const { symbols, timeframes, fee_bps: fee, exchange_url: url } = read(home)
    expect({ symbols, timeframes, fee, url }).toEqual({ symbols: ['SOLUSDT', 'BTCUSDT'], timeframes: ['1h', '4h'], fee: 12, url: undefined })
  })

  onLinux('is ended by Ctrl-C and by Ctrl-D, and has written nothing', async () => {
    for (const [key, code] of [['\u0003', 130], ['\u0004', 1]] as const) {
      const home = newHome()
      const ended = await useTerminal([CLI, 'init'], env(home), { typed: [...QUESTIONS.slice(0, 2), [/Timeframes \[.*\] $/, key]] })
      expect([key, ended.code]).toEqual([key, code])
      expect(contents(home)).toEqual({})
    }
  })

  test('fetches at once if that is wanted', async () => {
    const exchange = await startExchange({ symbols: ['BTCUSDT'], days: 20 })
    try {
      const home = newHome()
      const ended = await runNode([CLI, 'init', '--symbols', 'BTCUSDT', '--timeframes', '1h', '--fetch', '--json'], { env: { SIGNALLOOP_HOME: home, SIGNALLOOP_EXCHANGE_URL: exchange.url } })
      expect([ended.code, JSON.parse(ended.stdout)]).toMatchObject([0, { written: FILES.map((name) => join(home, name)), fetched: [{ symbol: 'BTCUSDT', timeframe: '1h', success: true }] }])
      expect(existsSync(join(home, 'data', 'btcusdt_1h.csv'))).toBe(true)
    } finally {
      exchange.stop()
    }
  })
})

describe('completions', () => {
  const shells = newHome
  /** Whether a shell is here. */
  const has = (shell: string) => (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, shell)))
  const run = async (shell: string, args: string[]): Promise<string> => {
    const child = spawnKept(shell, args, { cwd: ROOT, env: { ...process.env, TERM: 'dumb' }, stdio: ['ignore', 'pipe', 'pipe'] })
    let printed = ''
    child.stdout.on('data', (text) => (printed += text))
    child.stderr.on('data', (text) => (printed += text))
    await once(child, 'close')
    return printed
  }
  async function script(shell: string, name: string): Promise<string> {
    const folder = shells()
    const { code, stdout, stderr } = await signalloop(folder, 'completions', shell)
    expect([code, stderr]).toEqual([0, ''])
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, name), stdout)
    return join(folder, name)
  }
  const within = (shell: string) => (has(shell) ? test : test.skip)

  within('bash')('bash completes commands, options and values', async () => {
    const file = await script('bash', 'signalloop.bash')
    const ask = (...words: string[]) => {
      const line = words.map((word) => `'${word}'`).join(' ')
      return run('bash', ['-c', `source '${file}'; COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _signalloop signalloop '${words.at(-1)}' '${words.at(-2)}'; printf '%s\\n' "\${COMPREPLY[@]}"`])
    }
    expect((await ask('signalloop', 'sc')).split('\n').sort()).toEqual(['', 'scheduler', 'scorecard'])
    expect((await ask('signalloop', 'train', '--no')).trim()).toBe('--no-fetch')
    expect((await ask('signalloop', 'scheduler', 'o')).trim()).toBe('once')
    expect((await ask('signalloop', 'learn', '--mode', 'ev')).trim()).toBe('evaluate')
    expect((await ask('signalloop', 'completions', 'fi')).trim()).toBe('fish')
    expect((await ask('signalloop', 'scheduler', 'once', '--task', 'ev')).trim()).toBe('evaluate')
    expect((await ask('signalloop', 'train', '--timeframe', '1')).trim().split('\n')).toEqual(['1m', '15m', '1h', '12h', '1d', '1w'])
    for (const command of ['init', 'simulator']) expect((await ask('signalloop', command, '--exchange', 'ok')).trim()).toBe('okx')
    expect((await ask('signalloop', 'import', '--from', 'fr')).trim()).toBe('freqtrade')
  })

  within('zsh')('zsh reads its script, and completes commands and values', async () => {
    const file = await script('zsh', '_signalloop')
    // `zpty` types into a shell of its own, as a person does.
    const typed = (words: string, completed: string) => `
      zmodload zsh/zpty
      zpty shell zsh -f -i
      zpty -w shell "PS1=; unsetopt beep; fpath=('${join(file, '..')}' \\$fpath); autoload -Uz compinit; compinit -u -D; zstyle ':completion:*' list-prompt ''; LISTMAX=1000; echo re''ady"
      zpty -r shell line '*ready*'
      zpty -n -w shell $'signalloop ${words}\\t'
      zpty -r -t shell line; for i in {1..50}; do sleep 0.1; zpty -r -t shell more && line+=$more; [[ $line == *${completed}* ]] && break; done
      print -r -- $line`
    for (const [words, completed] of [['sche', 'scheduler'], ['scheduler once --task ev', 'evaluate'], ['train --timeframe 12', '12h'], ['init --exchange kra', 'kraken']] as const) {
      expect(await run('zsh', ['-f', '-c', typed(words, completed)])).toContain(completed)
    }
  })

  within('fish')('fish completes commands, options and values', async () => {
    const file = await script('fish', 'signalloop.fish')
    const ask = async (line: string) => (await run('fish', ['--no-config', '-c', `source '${file}'; complete --do-complete '${line}'`])).split('\n').map((text) => text.split('\t')[0])
    expect(await ask('signalloop sc')).toEqual(expect.arrayContaining(['scheduler', 'scorecard']))
    expect(await ask('signalloop train --no')).toContain('--no-fetch')
    expect(await ask('signalloop learn --mode ev')).toContain('evaluate')
    expect(await ask('signalloop scheduler once --task ev')).toContain('evaluate')
    expect(await ask('signalloop train --timeframe 12')).toContain('12h')
    expect(await ask('signalloop init --exchange kra')).toContain('kraken')
  })

  test('PowerShell gets a script, and another shell a sentence', async () => {
    const { stdout } = await signalloop(shells(), 'completions', 'powershell')
    expect(stdout).toContain("Register-ArgumentCompleter -Native -CommandName 'signalloop'")
    const { code, stderr } = await signalloop(shells(), 'completions', 'tcsh')
    expect([code, stderr]).toEqual([2, expect.stringMatching(/possible values: bash, .*fish.*powershell, zsh/)])
  })
})

test('help has the options of a command first, then those of all, then examples', async () => {
  const { code, stdout } = await signalloop(newHome(), 'train', '--help')
  const order = ['Options:', '--no-fetch', '--max-age', 'Common options:', '--home', '--json', '--help', 'Examples:'].map((text) => stdout.indexOf(text))
  expect([code, order]).toEqual([0, [...order].sort((a, b) => a - b)])
  expect(order[0]).toBeGreaterThan(0)
})
