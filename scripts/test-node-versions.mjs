// Runs the Node tests under other versions of Node.js, from npm's package `node`:
//
//     npm run test:node-versions                 # 22 and 24
//     npm run test:node-versions -- 24 feedback  # one version, some files
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beside } from './beside.mjs'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const args = process.argv.slice(2)
const versions = args.filter((arg) => /^\d+$/.test(arg))
const files = args.filter((arg) => !/^\d+$/.test(arg))
const jest = join(ROOT, 'scripts', 'jest.mjs')

const shell = process.platform === 'win32'
const runs = (versions.length > 0 ? versions : ['22', '24']).map((version) => {
  const node = ['--yes', '--package', `node@${version}`, '--', 'node']
  // If npx does not fetch the version, it silently uses the installed one.
  const { stdout, stderr, status } = spawnSync('npx', [...node, '--version'], { cwd: ROOT, encoding: 'utf8', shell })
  if (status !== 0 || !stdout.startsWith(`v${version}.`)) {
    console.error(`npx gave ${stdout.trim() || stderr} instead of Node.js ${version}`)
    process.exit(1)
  }
  return [{ name: `Node.js ${version}`, program: 'npx', args: [...node, jest, ...files], folder: ROOT, shell }]
})
await beside(...runs)
