// Feeds random bytes to the store's readers, each target for a number of seconds (default 60):
//
//     npm run test:fuzz                     # all targets
//     npm run test:fuzz -- 15               # 15 seconds each
//     npm run test:fuzz -- 600 import       # one target
//
// cargo-fuzz is installed if it is missing. New inputs are stored in `target/`; the committed corpus is
// only read. An input that fails is written to `fuzz/artifacts/`.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const TARGETS = ['log', 'import']
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const [seconds = '60', ...chosen] = process.argv.slice(2)

// The sanitizer's compiler flags need a nightly toolchain, unless this variable allows them.
const env = { ...process.env, RUSTC_BOOTSTRAP: '1' }

function run(...args) {
  const ended = spawnSync('cargo', args, { cwd: ROOT, env, stdio: 'inherit' })
  if (ended.error) console.error(`Cannot start cargo: ${ended.error.message}`)
  if (ended.status !== 0) process.exit(ended.status ?? 1)
}

if (spawnSync('cargo', ['fuzz', '--version'], { cwd: ROOT, env }).status !== 0) {
  run('install', 'cargo-fuzz', '--locked')
}
for (const target of chosen.length > 0 ? chosen : TARGETS) {
  const found = join(ROOT, 'target', 'fuzz-corpus', target)
  mkdirSync(found, { recursive: true })
  const limits = [`-max_total_time=${seconds}`, '-timeout=20', '-rss_limit_mb=4096', '-print_final_stats=1']
  run('fuzz', 'run', target, found, join('fuzz', 'corpus', target), '--', ...limits)
}
