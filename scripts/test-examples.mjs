// Installs what the examples need, checks their types and runs their tests. Those of the drop-in backend run with detection of open
// handles, and beside them the others, which start programs, in several workers.
//
//     npm run test:examples
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beside } from './beside.mjs'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const EXAMPLES = join(ROOT, 'ts-examples')
const JEST = join('..', 'scripts', 'jest.mjs')
const shell = process.platform === 'win32'
/** onnxruntime-node has what the examples need; its installation would also download what graphics cards need. */
const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' }

/** Runs a command in the folder of the examples; if it fails, the script fails. */
function run(command, args) {
  console.log(`\n> ${command} ${args.join(' ')}`)
  const { status, error } = spawnSync(command, args, { cwd: EXAMPLES, env, stdio: 'inherit', shell: shell && command !== process.execPath })
  if (error) console.error(`Cannot start ${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

/** Replaces npm's link to this checkout by what a user has: the files of the package. Bundlers follow a link out of node_modules. */
function install() {
  const folder = join(EXAMPLES, 'node_modules', 'signalloop')
  const packed = mkdtempSync(join(tmpdir(), 'signalloop-examples-'))
  try {
    run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', packed, ROOT])
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
    run('tar', ['-xzf', join(packed, readdirSync(packed)[0]), '--strip-components=1', '-C', folder])
  } finally {
    rmSync(packed, { recursive: true, force: true })
  }
}

run('npm', ['ci'])
install()
run('npx', ['tsc', '--noEmit'])
const jest = (name, args) => [{ name, program: process.execPath, args: [JEST, ...args], folder: EXAMPLES }]
const inProcess = ['express', 'jest', 'charts'].map((folder) => `<rootDir>/${folder}/`)
await beside(
  jest('tests that start programs', ['--maxWorkers=3', ...['/node_modules/', ...inProcess].map((path) => `--testPathIgnorePatterns=${path}`)]),
  jest('tests of the drop-in backend', ['--detectOpenHandles', 'express', 'jest/', 'charts']),
)
