// Runs the Jest of the folder it is called in, with the arguments that it is given, and fails also where Jest only says that something
// was left open: a handle, or whatever keeps it from ending.
//
//     node scripts/jest.mjs --maxWorkers=3
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const jest = createRequire(join(process.cwd(), 'package.json')).resolve('jest/bin/jest')
const colours = process.stderr.isTTY && !process.env.NO_COLOR ? { FORCE_COLOR: '1' } : {}
const child = spawn(process.execPath, [jest, ...process.argv.slice(2)], {
  env: { ...process.env, ...colours },
  stdio: ['inherit', 'inherit', 'pipe'],
})
let said = ''
child.stderr.setEncoding('utf8').on('data', (text) => {
  said += text
  process.stderr.write(text)
})
child.once('close', (code) => {
  const left = /Jest has detected the following \d+ open handle|Jest did not exit|failed to exit gracefully/.test(said)
  if (left) console.error('\nSomething was left open: see above.')
  process.exitCode = left ? 1 : (code ?? 1)
})
