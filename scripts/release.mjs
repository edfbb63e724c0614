// Publishes the package: one package for each platform with its addon, then the main package, which names them as optional dependencies. A
// version with a hyphen (1.2.0-beta.1) is published as `next`, so that `npm install signalloop` does not take it; others as `latest`.
//
//     node scripts/release.mjs ADDONS [argument of npm publish …]     # ADDONS: a folder with the .node files of all platforms
//
// npm's own configuration says to which registry and with which token. `--dry-run` publishes nothing.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const NAPI = join(ROOT, 'node_modules', '@napi-rs', 'cli', 'dist', 'cli.js')
const [addons, ...npmArguments] = process.argv.slice(2)
if (!addons) throw new Error('usage: node scripts/release.mjs ADDONS [argument of npm publish …]')

function run(cwd, command, ...args) {
  const { status, stdout, error } = spawnSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], shell: process.platform === 'win32' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${error?.message ?? status}\n${stdout}`)
  return stdout
}

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'))

/** Every `.node` file in a folder and its subfolders, by name. */
function addonsIn(folder) {
  const files = readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile() && entry.name.endsWith('.node'))
  return new Map(files.map((entry) => [entry.name, join(entry.parentPath, entry.name)]))
}

/** Unpacks what `npm pack` would publish, without the addon, and without the scripts and dependencies of development. */
function unpackedMain(folder) {
  const [{ filename }] = JSON.parse(run(ROOT, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder))
  run(folder, 'tar', '-xzf', filename)
  const main = join(folder, 'package')
  for (const name of readdirSync(main).filter((name) => name.endsWith('.node'))) rmSync(join(main, name))
  const { scripts, devDependencies, ...manifest } = readJson(join(main, 'package.json'))
  writeFileSync(join(main, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  return main
}

const folder = mkdtempSync(join(tmpdir(), 'signalloop-release-'))
try {
  const main = unpackedMain(folder)
  const npm = join(main, 'npm') // not in the main package: its `files` do not name it
  run(main, process.execPath, NAPI, 'create-npm-dirs', '--npm-dir', 'npm')
  const found = addonsIn(addons)
  const platforms = readdirSync(npm).sort()
  for (const platform of platforms) {
    const addon = `signalloop.${platform}.node`
    if (!found.has(addon)) throw new Error(`${addon} is not in ${addons}: nothing was published`)
    copyFileSync(found.get(addon), join(npm, platform, addon))
    copyFileSync(join(ROOT, 'LICENSE'), join(npm, platform, 'LICENSE'))
  }
  run(main, process.execPath, NAPI, 'pre-publish', '--npm-dir', 'npm', '--tag-style', 'npm', '--no-gh-release', '--skip-optional-publish')

  const { version, optionalDependencies = {} } = readJson(join(main, 'package.json'))
  if (Object.keys(optionalDependencies).length !== platforms.length) throw new Error(`the main package names ${Object.keys(optionalDependencies).join(', ')}`)
  const tag = version.includes('-') ? 'next' : 'latest'
  const publish = (cwd) => {
    run(cwd, 'npm', 'publish', '--access', 'public', '--ignore-scripts', '--tag', tag, ...npmArguments)
    const { name } = readJson(join(cwd, 'package.json'))
    console.log(`published ${name}@${version} as ${tag}`)
  }
  // The main package comes last: at no time does it name a package that is not there.
  for (const platform of platforms) publish(join(npm, platform))
  publish(main)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
