// Installs the package in an empty project, as a user does, and uses it there:
//
//     npm run test:package       # the tarball of `npm pack`, then published to a registry on this machine and installed from there
//     npm run test:git           # a git dependency on this checkout's last commit; builds the addon again, which takes minutes
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
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
  const known = /^(package\.json|README\.md|LICENSE|index\.js|index\.d\.ts|dashboard\.js|loading\.js|close-decision\.js|own-model\.js|reason\.js|strategy\.js|bin\/[\w.]+\.js|docs\/[\w-]+\.(md|svg|png)|signalloop\.[\w-]+\.node)$/
  check('the tarball has nothing else in it', names.filter((name) => !known.test(name)), [])
  const wanted = ['LICENSE', 'README.md', 'bin/signalloop.js', 'close-decision.js', 'dashboard.js', 'docs/errors.md', 'index.d.ts', 'index.js', 'loading.js', 'own-model.js', 'reason.js', 'strategy.js']
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

/**
 * A registry on this machine, empty at first. Returns npm's arguments for it, and a function that ends it. `node-fetch` is overridden because a
 * dependency asks for it by a tag that mirrors of the registry do not have.
 */
async function registry() {
  const home = join(folder, 'registry')
  mkdirSync(home)
  writeFileSync(join(home, 'package.json'), JSON.stringify({ private: true, dependencies: { verdaccio: '6.7.4' }, overrides: { 'node-fetch': '2.7.0' } }))
  run(home, 'npm', 'install', '--no-audit', '--no-fund')
  const everyone = { access: '$all', publish: '$all' }
  writeFileSync(join(home, 'config.yaml'), JSON.stringify({ storage: './storage', max_body_size: '100mb', packages: { '@*/*': everyone, '**': everyone }, log: { type: 'stdout', level: 'warn' } }))
  const port = await freePort()
  const server = spawn(process.execPath, [join(home, 'node_modules', 'verdaccio', 'bin', 'verdaccio'), '--config', 'config.yaml', '--listen', `127.0.0.1:${port}`], { cwd: home, stdio: ['ignore', 'ignore', 'inherit'] })
  const url = `http://127.0.0.1:${port}/`
  while (!(await fetch(`${url}-/ping`).then((answer) => answer.ok, () => false))) {
    if (server.exitCode !== null) throw new Error(`the registry ended with ${server.exitCode}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return { url, token: `--//127.0.0.1:${port}/:_authToken=anyone`, end: () => server.kill() }
}

/** A port that is free now. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** A folder with an addon for every platform; those of other platforms are empty files, since they are never loaded here. */
function addons() {
  const into = join(folder, 'addons')
  mkdirSync(into)
  const [own] = readdirSync(ROOT).filter((name) => name.endsWith('.node'))
  for (const platform of PLATFORMS) writeFileSync(join(into, `signalloop.${platform}.node`), '')
  cpSync(join(ROOT, own), join(into, own))
  return { into, name: `@signalloop/native-${own.split('.')[1]}` }
}

const PLATFORMS = ['darwin-arm64', 'darwin-x64', 'linux-arm64-gnu', 'linux-arm64-musl', 'linux-x64-gnu', 'linux-x64-musl', 'win32-x64-msvc']

/** Publishes to a registry of its own as a release does, installs from there, and removes the addon again. */
async function released() {
  const { into, name } = addons()
  const { url, token, end } = await registry()
  try {
    const before = process.env.npm_config_registry
    process.env.npm_config_registry = url
    run(ROOT, process.execPath, 'scripts/release.mjs', into, token)
    const project = use('from a registry', [`signalloop@${version}`], ['@signalloop', 'signalloop'])
    check('only the addon of this platform came with it', readdirSync(join(project, 'node_modules', '@signalloop')), [name.split('/')[1]])
    const tags = JSON.parse(run(project, 'npm', 'view', 'signalloop', 'dist-tags', '--json'))
    check('it has the tag that its version asks for', tags[version.includes('-') ? 'next' : 'latest'], version)
    const manifest = JSON.parse(readFileSync(join(project, 'node_modules', 'signalloop', 'package.json'), 'utf8'))
    check('nothing runs when it is installed', [manifest.scripts, manifest.dependencies], [undefined, undefined])
    check('every platform has a package', Object.keys(manifest.optionalDependencies).sort(), PLATFORMS.map((platform) => `@signalloop/native-${platform}`))
    if (before === undefined) delete process.env.npm_config_registry
    else process.env.npm_config_registry = before

    // Without the package of the platform, the command says what is missing and what to do.
    rmSync(join(project, 'node_modules', name), { recursive: true })
    const { status, stderr } = spawnSync('npx', ['signalloop', 'stats'], { cwd: project, encoding: 'utf8', shell })
    check('without its addon it says so', [status, stderr.includes(`The package ${name} is not installed`)], [1, true])
  } finally {
    end()
  }
}

try {
  if (process.argv.includes('--git')) {
    const commit = run(ROOT, 'git', 'rev-parse', 'HEAD').trim()
    use('from git', [`git+${pathToFileURL(ROOT)}#${commit}`], ['signalloop'])
  } else {
    const tarball = packed()
    use('the tarball', [tarball], ['signalloop'])
    await released()
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
