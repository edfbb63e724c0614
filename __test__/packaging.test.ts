// Several files describe building, testing and releasing; these tests check that they agree.
import { copyFileSync, mkdirSync, readFileSync, readdirSync } from 'node:fs'
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
  expect(found(build, /target: ([\w-]+),/g).sort()).toEqual([...manifest.napi.targets].sort())
  for (const line of found(workflow, /^ +node: \[(.*)\]$/gm)) expect(line).toBe('20, 22, 24')
  expect(manifest.engines.node).toBe('>=20')
  const needed = found(workflow, /needs: \[(.*)\]/g).flatMap((list) => list.split(', '))
  expect(needed.sort()).toEqual(['check', 'dependencies', 'oldest-glibc', 'test', 'test-musl'])
  for (const job of needed) expect(workflow).toContain(`\n  ${job}:\n`)
})

test('versions agree', () => {
  const cargo = read('Cargo.toml')
  expect(/^version = "(.*)"/m.exec(cargo)![1]).toBe(manifest.version)
  const rust = /^rust-version = "(.*)"/m.exec(cargo)![1]!
  for (const file of ['README.md', 'scripts/build.mjs']) expect(read(file)).toContain(`${rust} or newer`)
  expect(read('CHANGELOG.md')).toContain(`## ${manifest.version}`)
})

test('without its native part it says what is missing, where, and what to do', async () => {
  const folder = newHome()
  mkdirSync(join(folder, 'bin'))
  for (const file of ['index.js', 'close-decision.js', 'loading.js', 'native.js', 'dashboard.js', 'own-model.js', 'reason.js', 'strategy.js', 'bin/signalloop.js']) copyFileSync(join(ROOT, file), join(folder, file))
  const message = expect.stringMatching(/^the native part of signalloop cannot be loaded on Node\.js v[\d.]+, \w+ \w+[\s\S]*--omit=optional[\s\S]*npm run build[\s\S]*Cannot find/)
  const required = await runNode(['-e', 'try { require(process.argv[1]) } catch ({ code, message }) { console.log(JSON.stringify({ code, message })) }', join(folder, 'index.js')])
  expect([required.code, JSON.parse(required.stdout)]).toEqual([0, { code: 'ERR_NO_ADDON', message }])
  const command = await runNode([join(folder, 'bin', 'signalloop.js'), 'stats', '--json'])
  expect([command.code, JSON.parse(command.stdout), command.stderr]).toEqual([1, { error: { code: 'ERR_NO_ADDON', message } }, expect.stringMatching(/^error: the native part[\s\S]*\[ERR_NO_ADDON\]\n$/)])
  const told = await runNode([join(folder, 'bin', 'signalloop.js'), 'stats'])
  expect([told.code, told.stdout, told.stderr]).toEqual([1, '', command.stderr])
})
