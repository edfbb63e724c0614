// Installs what the examples need, checks their types and runs their tests. Those of the drop-in backend run with detection of open
// handles, and beside them the others, which start programs, in several workers.
//
//     npm run test:examples
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beside } from './beside.mjs'

const EXAMPLES = join(dirname(dirname(fileURLToPath(import.meta.url))), 'ts-examples')
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

run('npm', ['ci'])
run('npx', ['tsc', '--noEmit'])
const jest = (name, args) => [{ name, program: process.execPath, args: [JEST, ...args], folder: EXAMPLES }]
const inProcess = ['express', 'jest', 'charts'].map((folder) => `<rootDir>/${folder}/`)
await beside(
  jest('tests that start programs', ['--maxWorkers=3', ...['/node_modules/', ...inProcess].map((path) => `--testPathIgnorePatterns=${path}`)]),
  jest('tests of the drop-in backend', ['--detectOpenHandles', 'express', 'jest/', 'charts']),
)
