// Installs the package in an empty project, as a user does, and uses it there:
//
//     npm run test:package       # the tarball that `npm pack` makes
//     npm run test:git           # a git dependency on this checkout's last commit; builds the addon anew, which takes minutes
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const shell = process.platform === 'win32'
const folder = mkdtempSync(join(tmpdir(), 'signalloop-package-'))
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

function run(cwd, command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', shell, env: { ...process.env, SIGNALLOOP_HOME: join(folder, 'ml') } })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${error?.message ?? stdout + stderr}`)
  return stdout
}

function check(what, is, expected) {
  if (JSON.stringify(is) !== JSON.stringify(expected)) throw new Error(`${what}: ${JSON.stringify(is)} instead of ${JSON.stringify(expected)}`)
  console.log(`ok  ${what}`)
}

/** The tarball, which holds what is listed here and nothing else. */
function packed() {
  const [{ filename, files }] = JSON.parse(run(ROOT, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder))
  const names = files.map(({ path }) => path)
  const known = /^(package\.json|README\.md|LICENSE|index\.js|index\.d\.ts|native\.js|bin\/[\w.]+\.js|docs\/[\w-]+\.(md|svg)|signalloop\.[\w-]+\.node)$/
  check('the tarball has nothing else in it', names.filter((name) => !known.test(name)), [])
  const wanted = ['LICENSE', 'README.md', 'bin/signalloop.js', 'docs/errors.md', 'index.d.ts', 'index.js', 'native.js']
  check('the tarball has what is needed', wanted.filter((name) => !names.includes(name)), [])
  return join(folder, filename)
}

const CJS = `
const { feedbackTracker, close } = require('signalloop')
const signal = { id: 'a', pair: 'BTC/USDT', signalType: 'BUY', confidence: 60, entryPrice: 100, takeProfit: 104, timestamp: Date.now() }
feedbackTracker.recordSignal(signal)
  .then(() => feedbackTracker.onPrice('BTCUSDT', 104))
  .then(async ([closed]) => { console.log(closed.outcome); await close() })
`
const ESM = `
import { SignalLoop, feedbackTracker, close } from 'signalloop'
console.log(typeof SignalLoop, (await feedbackTracker.getStats()).overall.tookProfit)
await close()
`

try {
  const git = process.argv.includes('--git')
  const dependency = git ? `git+${pathToFileURL(ROOT)}#${run(ROOT, 'git', 'rev-parse', 'HEAD').trim()}` : packed()
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'empty', version: '1.0.0', private: true }))
  run(folder, 'npm', 'install', '--no-audit', '--no-fund', dependency)
  check('no other package came with it', readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.')), ['signalloop'])
  writeFileSync(join(folder, 'use.cjs'), CJS)
  writeFileSync(join(folder, 'use.mjs'), ESM)
  check('CommonJS records and closes', run(folder, process.execPath, 'use.cjs').trim(), 'TOOK_PROFIT')
  check('an ES module reads it', run(folder, process.execPath, 'use.mjs').trim(), 'function 1')
  check('the command is there', run(folder, 'npx', 'signalloop', '--version').trim(), `signalloop ${version}`)
  check('and works', JSON.parse(run(folder, 'npx', 'signalloop', 'stats', '--json')).overall.closedSignals, 1)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
