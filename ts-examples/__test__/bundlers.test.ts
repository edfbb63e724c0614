import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newHome } from './helpers/home'
import { ROOT, runProgram, type Ended } from './helpers/program'

const MAIN = join(ROOT, 'bundlers', 'main.ts')
const npx = (...args: string[]): Promise<Ended> => runProgram(['npx', '--no-install', ...args], { NO_COLOR: '1' })
const runBundle = (file: string) => runProgram([process.execPath, file], { SIGNALLOOP_HOME: newHome() })
const closesItsSignal: Ended = { code: 0, stdout: 'TOOK_PROFIT\n', stderr: '' }

/** A folder without node_modules above it. */
let elsewhere: string
beforeAll(() => {
  elsewhere = mkdtempSync(join(tmpdir(), 'signalloop-bundle-'))
})
afterAll(() => rmSync(elsewhere, { recursive: true, force: true }))

test.each([
  ['esbuild', 'esbuild.mjs'],
  ['webpack', 'webpack.cjs'],
  ['vite', 'vite.mjs'],
])('%s leaves signalloop out of the bundle, and the bundle runs', async (name, file) => {
  const bundle = join(ROOT, 'bundlers', 'dist', file)
  rmSync(bundle, { force: true })
  expect(await runProgram(['npm', 'run', '--silent', `bundle:${name}`], {})).toMatchObject({ code: 0 })
  expect(readFileSync(bundle, 'utf8')).not.toContain('the native part of signalloop cannot be loaded')
  expect(await runBundle(bundle)).toEqual(closesItsSignal)
})

test('esbuild copies the native part beside a bundle that has everything else in it', async () => {
  const bundle = join(elsewhere, 'whole.cjs')
  expect(await npx('esbuild', MAIN, '--bundle', '--platform=node', '--format=cjs', '--loader:.node=copy', `--outfile=${bundle}`)).toMatchObject({ code: 0 })
  expect(readFileSync(bundle, 'utf8')).toContain('the native part of signalloop cannot be loaded')
  expect(readdirSync(elsewhere)).toEqual([expect.stringMatching(/^signalloop\.[\w-]+\.node$/), 'whole.cjs'])
  expect(await runBundle(bundle)).toEqual(closesItsSignal)
})

test('without that, esbuild and webpack name the native part as what they cannot take', async () => {
  const esbuild = await npx('esbuild', MAIN, '--bundle', '--platform=node', `--outfile=${join(elsewhere, 'none.cjs')}`)
  expect([esbuild.code, esbuild.stderr]).toEqual([1, expect.stringMatching(/No loader is configured for "\.node" files: .*signalloop\.[\w-]+\.node/)])
  const config = join(ROOT, 'bundlers', 'webpack.config.mjs')
  const webpack = await npx('webpack', '--config', config, '--externals-reset', '--output-path', elsewhere)
  expect([webpack.code, webpack.stdout]).toEqual([1, expect.stringMatching(/signalloop\.[\w-]+\.node[\s\S]*You may need an appropriate loader/)])
})
