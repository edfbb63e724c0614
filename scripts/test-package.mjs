// Installs the package in an empty project, as a user does, and uses it there:
//
//     npm run test:package       # the tarball of `npm pack`, first with its addon, then as it is published: without the addon, with
//                                # the package of this platform
//     npm run test:git           # a git dependency on this checkout's last commit; builds the addon again, which takes minutes
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const shell = process.platform === 'win32'
const folder = mkdtempSync(join(tmpdir(), 'signalloop-package-'))
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

function run(cwd, command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', shell, env: { ...process.env, SIGNALLOOP_HOME: join(cwd, 'ml') } })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${error?.message ?? stdout + stderr}`)
  return stdout
}

function check(what, is, expected) {
  if (JSON.stringify(is) !== JSON.stringify(expected)) throw new Error(`${what}: ${JSON.stringify(is)} instead of ${JSON.stringify(expected)}`)
  console.log(`ok  ${what}`)
}

/** Packs the tarball and checks that it contains the files listed here and no others. */
function packed() {
  const [{ filename, files }] = JSON.parse(run(ROOT, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder))
  const names = files.map(({ path }) => path)
  const known = /^(package\.json|README\.md|LICENSE|index\.js|index\.d\.ts|native\.js|dashboard\.js|loading\.js|close-decision\.js|reason\.js|strategy\.js|bin\/[\w.]+\.js|docs\/[\w-]+\.(md|svg)|signalloop\.[\w-]+\.node)$/
  check('the tarball has nothing else in it', names.filter((name) => !known.test(name)), [])
  const wanted = ['LICENSE', 'README.md', 'bin/signalloop.js', 'close-decision.js', 'dashboard.js', 'docs/errors.md', 'index.d.ts', 'index.js', 'loading.js', 'native.js', 'own-model.js', 'reason.js', 'strategy.js']
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

/** Installs `dependencies` in an empty project and uses it there. */
function use(name, dependencies, expected) {
  console.log(`\n${name}`)
  const project = join(folder, name.replaceAll(' ', '-'))
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'empty', version: '1.0.0', private: true }))
  run(project, 'npm', 'install', '--no-audit', '--no-fund', ...dependencies)
  check('no other package came with it', readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.')).sort(), expected)
  writeFileSync(join(project, 'use.cjs'), CJS)
  writeFileSync(join(project, 'use.mjs'), ESM)
  check('CommonJS records and closes', run(project, process.execPath, 'use.cjs').trim(), 'TOOK_PROFIT')
  check('an ES module reads it', run(project, process.execPath, 'use.mjs').trim(), 'function 1')
  check('the command is there', run(project, 'npx', 'signalloop', '--version').trim(), `signalloop ${version}`)
  check('and works', JSON.parse(run(project, 'npx', 'signalloop', 'stats', '--json')).overall.closedSignals, 1)
  return project
}

/** Packs the main package without the addon, and the package of this platform with only the addon, as a release publishes them. */
function published(tarball) {
  const [flow, unpacked] = [join(folder, 'flow'), join(folder, 'unpacked')]
  mkdirSync(flow)
  mkdirSync(unpacked)
  cpSync(join(ROOT, 'package.json'), join(flow, 'package.json'))
  run(flow, process.execPath, join(ROOT, 'node_modules', '@napi-rs', 'cli', 'dist', 'cli.js'), 'create-npm-dirs')
  const platforms = readdirSync(join(flow, 'npm')).sort()
  check('every platform has a package', platforms, [
    'darwin-arm64', 'darwin-x64', 'linux-arm64-gnu', 'linux-arm64-musl', 'linux-x64-gnu', 'linux-x64-musl', 'win32-x64-msvc',
  ])
  const [addon] = readdirSync(ROOT).filter((name) => name.endsWith('.node'))
  const own = join(flow, 'npm', addon.split('.')[1])
  cpSync(join(ROOT, addon), join(own, addon))
  run(unpacked, 'tar', '-xzf', tarball)
  rmSync(join(unpacked, 'package', addon))
  const pack = (cwd) => join(folder, JSON.parse(run(cwd, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder))[0].filename)
  return { platform: pack(own), main: pack(join(unpacked, 'package')), name: JSON.parse(readFileSync(join(own, 'package.json'), 'utf8')).name }
}

try {
  if (process.argv.includes('--git')) {
    const commit = run(ROOT, 'git', 'rev-parse', 'HEAD').trim()
    use('from git', [`git+${pathToFileURL(ROOT)}#${commit}`], ['signalloop'])
  } else {
    const tarball = packed()
    use('the tarball', [tarball], ['signalloop'])
    const { platform, main, name } = published(tarball)
    const project = use('as published', [main, platform], ['signalloop', name].sort())
    // Without the package of the platform, the command says what is missing and what to do.
    rmSync(join(project, 'node_modules', name), { recursive: true })
    const { status, stderr } = spawnSync('npx', ['signalloop', 'stats'], { cwd: project, encoding: 'utf8', shell })
    check('without its addon it says so', [status, /cannot be loaded on Node\.js v[\s\S]*--omit=optional/.test(stderr)], [1, true])
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
