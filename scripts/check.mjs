// What a change must pass before it is pushed, without the long tests: formatters, linters, types, the tests that need no other process, and a few
// from Node. With everything built before, it takes under three minutes; `.ci/run` has all tests.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
/** Crates whose unit tests train many models, or need a server. */
const LONG = ['signalloop-learning', 'signalloop-postgres']
/** Crates whose integration tests take seconds. */
const SHORT = ['signalloop-learning', 'signalloop-readers', 'signalloop-registry', 'signalloop-testkit']
/** Tests from Node that cover the border: loading, reading of signals, the store, the command line. */
const JEST = ['module', 'packaging', 'bad-input', 'feedback', 'pending', 'signals', 'cli']

const types = () => readFileSync(join(ROOT, 'index.d.ts'), 'utf8')
const step = (name, command, ...args) => {
  const start = Date.now()
  console.log(`\n== ${name}`)
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', shell: process.platform === 'win32' })
  if (error) console.error(`Cannot start ${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
  console.log(`${name}: ${((Date.now() - start) / 1000).toFixed(1)} s`)
}

const start = Date.now()
step('formatting', 'cargo', 'fmt', '--check')
step('the linter of JavaScript and TypeScript', 'npm', 'run', '--silent', 'lint')
step('clippy', 'cargo', 'clippy', '--locked', '--workspace', '--lib', '--bins', '--tests', '--benches', '--', '-D', 'warnings')
const committed = types()
step('the addon, in debug mode', 'npm', 'run', '--silent', 'build', '--', '--debug')
if (types() !== committed) console.log('index.d.ts was generated anew: commit it')
step('types', 'npm', 'run', '--silent', 'test:types')
step('unit tests in Rust', 'cargo', 'test', '--locked', '--quiet', '--workspace', ...LONG.flatMap((crate) => ['--exclude', crate]), '--lib')
step('short integration tests in Rust', 'cargo', 'test', '--locked', '--quiet', ...SHORT.flatMap((crate) => ['-p', crate]), '--test', '*')
step('tests from Node', process.execPath, 'scripts/jest.mjs', ...JEST.map((name) => `__test__/${name}.test.ts`))
console.log(`\nall of it passed in ${Math.round((Date.now() - start) / 1000)} s; .ci/run has the long tests`)
