// Several files describe building, testing and releasing; these tests check that they agree.
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, runNode } from './helpers/child'
import { newHome } from './helpers/home'

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const manifest = JSON.parse(read('package.json')) as {
  version: string
  engines: { node: string }
  napi: { targets: string[] }
  scripts: Record<string, string>
}
const workflow = read('.github/workflows/ci.yml')
const found = (text: string, what: RegExp) => [...text.matchAll(what)].map(([, one]) => one!)

test('every npm script that is spoken of is there', () => {
  const docs = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)
  const files = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', '.ci/run', '.github/workflows/ci.yml', ...docs]
  const named = files.flatMap((file) => found(read(file), /\bnpm run ([\w:-]+)/g))
  expect(new Set(named).size).toBeGreaterThan(10)
  expect(named.filter((name) => !(name in manifest.scripts))).toEqual([])
})

test('the workflow builds every target that packages are published for, and tests on every Node.js that is promised', () => {
  const build = workflow.slice(workflow.indexOf('\n  build:'), workflow.indexOf('\n  test:'))
  const targets = [...manifest.napi.targets].sort()
  expect(found(build, /target: ([\w-]+),/g).sort()).toEqual(targets)
  const tests = workflow.slice(workflow.indexOf('\n  test:'), workflow.indexOf('\n  oldest-glibc:'))
  expect(found(tests, /^ +target: \[(.*)\]$/gm).flatMap((list) => list.split(', ')).sort()).toEqual(targets)
  for (const line of found(workflow, /^ +node: \[(.*)\]$/gm)) expect(line).toBe('20, 22, 24')
  expect(manifest.engines.node).toBe('>=20')
  const needed = found(workflow, /needs: \[(.*)\]/g).flatMap((list) => list.split(', '))
  expect(needed.sort()).toEqual(['check', 'dependencies', 'oldest-glibc', 'test', 'test-musl'])
  for (const job of needed) expect(workflow).toContain(`\n  ${job}:\n`)
})

test('every action is pinned to a commit, and its version is beside it', () => {
  const used = found(workflow, /uses: (.*)$/gm)
  expect(used.length).toBeGreaterThan(10)
  expect(used.filter((one) => !/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(one))).toEqual([])
})

test('versions agree', () => {
  const cargo = read('Cargo.toml')
  expect(/^version = "(.*)"/m.exec(cargo)![1]).toBe(manifest.version)
  const rust = /^rust-version = "(.*)"/m.exec(cargo)![1]!
  for (const file of ['README.md', 'scripts/build.mjs']) expect(read(file)).toContain(`${rust} or newer`)
  expect(read('CHANGELOG.md')).toContain(`## ${manifest.version}`)
})

/** A folder with the package's JavaScript, and `addon` as its native part. */
function withoutAddon(addon?: string) {
  const folder = newHome()
  mkdirSync(join(folder, 'bin'))
  for (const file of ['index.js', 'close-decision.js', 'loading.js', 'dashboard.js', 'own-model.js', 'reason.js', 'strategy.js', 'bin/signalloop.js']) copyFileSync(join(ROOT, file), join(folder, file))
  const [own] = readdirSync(ROOT).filter((name) => name.endsWith('.node'))
  if (addon !== undefined) writeFileSync(join(folder, own!), addon)
  return folder
}

/** What `require` of the package fails with. `before` runs first. */
async function refusal(folder: string, before = '') {
  const program = `${before}; try { require(process.argv[1]) } catch ({ code, message }) { console.log(JSON.stringify({ code, message })) }`
  const { code, stdout } = await runNode(['-e', program, join(folder, 'index.js')])
  expect(code).toBe(0)
  return JSON.parse(stdout) as { code: string; message: string }
}

test('without its native part it says what is missing, where, and what to do', async () => {
  const folder = withoutAddon()
  const message = expect.stringMatching(/^the native part of signalloop cannot be loaded on Node\.js v[\d.]+, \w+ \w+[\s\S]*package @signalloop\/native-\w+-[\w-]+ is not installed[\s\S]*--omit=optional[\s\S]*npm run build/)
  expect(await refusal(folder)).toEqual({ code: 'ERR_NO_ADDON', message })
  const command = await runNode([join(folder, 'bin', 'signalloop.js'), 'stats', '--json'])
  expect([command.code, JSON.parse(command.stdout), command.stderr]).toEqual([1, { error: { code: 'ERR_NO_ADDON', message } }, expect.stringMatching(/^error: the native part[\s\S]*\[ERR_NO_ADDON\]\n$/)])
  const told = await runNode([join(folder, 'bin', 'signalloop.js'), 'stats'])
  expect([told.code, told.stdout, told.stderr]).toEqual([1, '', command.stderr])
})

test('an addon that the system cannot load is told apart from one that is missing, and from a platform without one', async () => {
  const damaged = await refusal(withoutAddon('not an addon'))
  expect(damaged).toEqual({ code: 'ERR_NO_ADDON', message: expect.stringMatching(/is there, but the system cannot load it: .*\.node/) })
  const elsewhere = await refusal(withoutAddon(), "Object.defineProperty(process, 'platform', { value: 'freebsd' })")
  expect(elsewhere).toEqual({ code: 'ERR_NO_ADDON', message: expect.stringMatching(/No addon is published for freebsd-\w+: there are some for Linux/) })
})
