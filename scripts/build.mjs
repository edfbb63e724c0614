// Builds the release addon for this machine; with `--debug`, one that compiles faster and runs slower. Further arguments are passed to `napi build`
// (`-- --target …`). `npm install` runs it in a checkout; the published package needs no build.
import { spawnSync } from 'node:child_process'

const MISSING = `
signalloop is built from Rust sources in a checkout, and no Rust toolchain was found.
Install one (https://rustup.rs, Rust 1.89 or newer), open a new terminal and run \`npm install\` again:

    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
`

const cargo = spawnSync('cargo', ['--version'], { encoding: 'utf8' })
if (cargo.error || cargo.status !== 0) {
  console.error(MISSING)
  process.exit(1)
}

const further = process.argv.slice(2).filter((argument) => argument !== '--debug')
const profile = process.argv.includes('--debug') ? [] : ['--release']
console.log(`Building signalloop with ${cargo.stdout.trim()}; the first time takes a few minutes.`)
const build = spawnSync(
  'napi',
  ['build', '--platform', ...profile, '--package', 'signalloop', '--output-dir', '.', '--no-js', '--dts', 'index.d.ts', '--no-dts-cache', ...further, '--', '--locked'],
  { stdio: 'inherit', shell: process.platform === 'win32' },
)
if (build.error) {
  console.error(`Cannot start the build: ${build.error.message}. Run \`npm install\` with its development dependencies.`)
}
process.exit(build.status ?? 1)
