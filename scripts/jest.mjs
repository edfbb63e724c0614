// Runs the Jest of the current folder with the given arguments, and also fails if a test leaves something open: a
// handle that Jest names, or anything that keeps Jest from exiting, for which it would wait forever.
//
//     node scripts/jest.mjs --maxWorkers=3
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'

/** Jest reports after one second that it did not exit; on a busy machine, processes may need longer to end. */
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
  if (left) console.error('\nA test left something open: see above.')
  process.exitCode = left ? 1 : (code ?? 1)
})
