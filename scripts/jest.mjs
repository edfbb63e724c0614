// Runs the Jest of the folder it is called in, with the arguments that it is given, and fails also where something was left open: a
// handle that Jest names, or whatever keeps it from ending, for which it would wait for good.
//
//     node scripts/jest.mjs --maxWorkers=3
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'

/** Jest complains after a second, which the processes of a busy machine may need to end. */
const PATIENCE_MS = 30_000

const jest = createRequire(join(process.cwd(), 'package.json')).resolve('jest/bin/jest')
const colours = process.stderr.isTTY && !process.env.NO_COLOR ? { FORCE_COLOR: '1' } : {}
const child = spawn(process.execPath, [jest, ...process.argv.slice(2)], {
  env: { ...process.env, ...colours },
  stdio: ['inherit', 'inherit', 'pipe'],
})
let said = ''
let deadline
child.stderr.setEncoding('utf8').on('data', (text) => {
  said += text
  process.stderr.write(text)
  if (said.includes('Jest did not exit')) deadline ??= setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
})
child.once('close', (code, signal) => {
  clearTimeout(deadline)
  const left = signal !== null || /Jest has detected the following \d+ open handle/.test(said)
  if (left) console.error('\nSomething was left open: see above.')
  process.exitCode = left ? 1 : (code ?? 1)
})
