// Installs the peers of the benchmarks on demand into benches/peers: npm packages and Python environments.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../peers/', import.meta.url))
const WINDOWS = process.platform === 'win32'
const load = createRequire(join(FOLDER, 'package.json'))

let used = new Set()
/** The peers asked for since this was called last, with their versions or why they are missing. */
export function peersUsed() {
  const peers = [...used]
  used = new Set()
  return peers
}

/** Runs a command; returns the end of its error output if it fails, otherwise nothing. */
function complaint(command, ...args) {
  const { status, error, stderr } = spawnSync(command, args, { cwd: FOLDER, encoding: 'utf8' })
  return status === 0 ? undefined : (error?.message ?? stderr.trim().split('\n').at(-1) ?? `${command} ended with ${status}`)
}

let installed
/** Installs all npm peers, once per run; returns npm's error output if it fails. */
function install() {
  console.error('installing the npm peers into benches/peers …')
  // onnxruntime-node would fetch half a gigabyte for graphics cards.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL_CUDA: 'skip' }
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: FOLDER, encoding: 'utf8', shell: WINDOWS, env })
  return npm.status === 0 ? {} : { failed: npm.error?.message ?? npm.stderr?.split('\n').find((line) => /error/i.test(line)) }
}

/**
 * `{ module, version }` of an npm peer, installed if need be; `{ missing }` with the reason why there is none. `works` is
 * called with the module: it throws where the package does not fit this version of Node.
 */
export function npmPeer(name, works = () => {}) {
  const attempt = () => {
    const module = load(name)
    works(module)
    const { version } = JSON.parse(readFileSync(join(FOLDER, 'node_modules', name, 'package.json'), 'utf8'))
    used.add(`${name} ${version}`)
    return { module, version }
  }
  try {
    return attempt()
  } catch {
    // Not installed yet, or for another version of Node.
  }
  installed ??= install()
  try {
    return attempt()
  } catch (error) {
    return { missing: `${name} cannot be installed: ${installed.failed ?? error.message}` }
  }
}

const environments = {}
/**
 * `{ python, versions }` of the environment `.venv` + `suffix` with what `requirements` + `suffix` + `.txt` names, or
 * `{ missing }` with the reason why there is none.
 */
export function python(suffix = '') {
  environments[suffix] ??= makeEnvironment(`.venv${suffix}`, `requirements${suffix}.txt`)
  const made = environments[suffix]
  used.add(made.versions ?? made.missing)
  return made
}

function makeEnvironment(name, requirements) {
  const executable = join(FOLDER, name, ...(WINDOWS ? ['Scripts', 'python.exe'] : ['bin', 'python']))
  if (!existsSync(executable)) {
    console.error(`installing the peers of ${requirements} into benches/peers/${name} …`)
    const reason = complaint(WINDOWS ? 'python' : 'python3', '-m', 'venv', name)
    if (reason) return { missing: `peers left out, no Python environment can be made: ${reason}` }
  }
  const reason = complaint(executable, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements)
  if (reason) return { missing: `peers of ${requirements} left out, they cannot be installed: ${reason}` }
  const pinned = readFileSync(join(FOLDER, requirements), 'utf8').match(/^[\w-]+(\[\w+\])?==.*$/gm)
  return { python: executable, versions: pinned.join(', ').replaceAll('==', ' ') }
}
