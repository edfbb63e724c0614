// Installs what the examples need and runs their tests: types, all tests in several workers, and then those of the drop-in
// backend again with detection of open handles.
//
//     npm run test:examples
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const EXAMPLES = join(dirname(dirname(fileURLToPath(import.meta.url))), 'ts-examples')
const JEST = join('..', 'scripts', 'jest.mjs')
const shell = process.platform === 'win32'

/** Runs a command in the folder of the examples; if it fails, the script fails. */
function run(command, args) {
  console.log(`\n> ${command} ${args.join(' ')}`)
  const { status, error } = spawnSync(command, args, { cwd: EXAMPLES, stdio: 'inherit', shell: shell && command !== process.execPath })
  if (error) console.error(`Cannot start ${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

run('npm', ['ci'])
run('npx', ['tsc', '--noEmit'])
run(process.execPath, [JEST, '--maxWorkers=3'])
run(process.execPath, [JEST, '--detectOpenHandles', 'express', 'jest/', 'charts'])
