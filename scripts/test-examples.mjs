// Installs what the examples need and runs their tests: types, all of them in several workers, and once more the drop-in
// backend's with an eye on handles that are left open.
//
//     npm run test:examples
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const EXAMPLES = join(dirname(dirname(fileURLToPath(import.meta.url))), 'ts-examples')
const shell = process.platform === 'win32'

/** Runs a command in the examples' folder; its failure is the script's. */
function run(command, args, options = {}) {
  console.log(`\n> ${command} ${args.join(' ')}`)
  const ended = spawnSync(command, args, { cwd: EXAMPLES, stdio: 'inherit', shell, encoding: 'utf8', ...options })
  if (ended.error) console.error(`Cannot start ${command}: ${ended.error.message}`)
  if (ended.status !== 0) {
    if (ended.stderr) console.error(ended.stderr)
    process.exit(ended.status ?? 1)
  }
  return ended
}

run('npm', ['ci'])
run('npx', ['tsc', '--noEmit'])
run('npx', ['jest', '--maxWorkers=3'])

// Jest ends with 0 when it finds one, and only says so.
const { stderr } = run('npx', ['jest', '--detectOpenHandles', 'express', 'jest/', 'charts'], { stdio: ['inherit', 'inherit', 'pipe'] })
console.error(stderr)
if (/open handle|did not exit/i.test(stderr)) {
  console.error('Handles were left open: see above.')
  process.exit(1)
}
