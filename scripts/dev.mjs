// For working on the code: builds the addon in debug mode, runs the tests that are named, and does both again when a file changes.
//
//     npm run dev                       # builds, and checks the types
//     npm run dev -- feedback scheduler # builds, and runs the tests in __test__/feedback.test.ts and scheduler.test.ts
//     npm run dev -- --once feedback    # without waiting for changes
//
// Rust is built again only if a Rust file changed. A build after a small change takes about ten seconds, most of it in the linker.
import { spawn } from 'node:child_process'
import { watch } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const WATCHED = ['src', 'crates', '__test__', 'bin', '.']
/** Editors write a file in several steps. */
const SETTLE_MS = 150

const once = process.argv.includes('--once')
const tests = process.argv.slice(2).filter((argument) => argument !== '--once')

/** Runs a program of `node_modules` in the root, and tells how it ended. */
const run = (program, ...args) =>
  new Promise((resolve) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: 'inherit', shell: process.platform === 'win32' })
    child.once('error', (error) => resolve(console.error(`Cannot start ${program}: ${error.message}`) ?? 1))
    child.once('close', (code) => resolve(code ?? 1))
  })

const build = () => run('npm', 'run', '--silent', 'build', '--', '--debug')
const check = () => (tests.length > 0 ? run(process.execPath, 'scripts/jest.mjs', ...tests) : run('npm', 'run', '--silent', 'test:types'))

/** Whether the addon is older than the Rust files. */
let stale = true

/** Builds if the addon is stale, then runs the tests. Returns whether all of it succeeded. */
async function round() {
  const start = Date.now()
  stale &&= (await build()) !== 0
  const ok = !stale && (await check()) === 0
  console.log(`\n${ok ? 'ok' : 'failed'} after ${((Date.now() - start) / 1000).toFixed(1)} s${once ? '' : '; waiting for changes, Ctrl-C ends'}`)
  return ok
}

/** What a changed file asks for: a build (`rust`), `tests`, or nothing. The types are generated, so they ask for nothing. */
function kindOf(path) {
  if (/(^|\/)(target|node_modules|\.git)(\/|$)/.test(path)) return undefined
  if (/\.rs$|(^|\/)Cargo\.(toml|lock)$|^src\/.*\.d\.ts$|^crates\/.*\.(html|css|js)$/.test(path)) return 'rust'
  return /^(__test__|bin)\/.*\.[cm]?[jt]s$|^[\w-]+\.js$/.test(path) ? 'tests' : undefined
}

if (once) {
  process.exitCode = (await round()) ? 0 : 1
} else {
  let [changed, busy, timer] = [true, false, undefined]
  const go = async () => {
    if (busy || !changed) return
    ;[changed, busy] = [false, true]
    await round()
    busy = false
    go()
  }
  for (const folder of WATCHED) {
    watch(join(ROOT, folder), { recursive: folder !== '.' }, (_, name) => {
      const kind = name && kindOf(relative(ROOT, join(ROOT, folder, name)).replaceAll(sep, '/'))
      if (!kind) return
      changed = true
      stale ||= kind === 'rust'
      clearTimeout(timer)
      timer = setTimeout(go, SETTLE_MS)
    })
  }
  go()
}
