// Builds the Rust tests and the examples in their documentation, and runs them. The tests in the crates' sources mostly compute;
// those in `tests/` mostly wait, for other processes and PostgreSQL. The two kinds run beside each other, and of those that wait two at
// once. That takes less time than `cargo test`, and tests the same.
import { spawnSync } from 'node:child_process'
import { dirname, relative } from 'node:path'
import { beside } from './beside.mjs'

const CARGO = ['test', '--locked']

const build = spawnSync('cargo', [...CARGO, '--no-run', '--message-format', 'json-render-diagnostics'], {
  encoding: 'utf8',
  maxBuffer: 1 << 28,
  stdio: ['inherit', 'pipe', 'inherit'],
})
if (build.error) console.error(`Cannot start cargo: ${build.error.message}`)
if (build.status !== 0) process.exit(build.status ?? 1)

const tests = build.stdout
  .split('\n')
  .filter(Boolean)
  .map((line) => JSON.parse(line))
  .filter(({ reason, executable, profile }) => reason === 'compiler-artifact' && executable && profile.test)
  .sort((one, other) => one.target.src_path.localeCompare(other.target.src_path))
if (tests.length === 0) throw new Error('cargo built no tests')

/** As `cargo test` runs it: in the folder of its crate. */
const program = ({ executable, manifest_path: manifest, target }) => {
  const folder = dirname(manifest)
  return { name: relative(process.cwd(), target.src_path), program: executable, folder, env: { CARGO_MANIFEST_DIR: folder } }
}
const inTests = ({ target }) => target.kind.includes('test')
const examples = { name: 'the examples in the documentation', program: 'cargo', args: [...CARGO, '--doc'] }
/** With less claim to the processor, so that what waits is not late because of it. */
const yielding = (job) => (process.platform === 'win32' ? job : { ...job, program: 'nice', args: [job.program, ...(job.args ?? [])] })
const waiting = tests.filter(inTests).map(program)
const computing = [...tests.filter((one) => !inTests(one)).map(program), examples].map(yielding)
await beside(waiting, waiting, computing)
