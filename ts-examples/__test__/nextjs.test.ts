import { existsSync, lstatSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expectToLearn } from './helpers/conversation'
import { newHome } from './helpers/home'
import { ROOT, runProgram, serve } from './helpers/program'

const NEXT = join(ROOT, 'node_modules', 'next', 'dist', 'bin', 'next')
const FOLDER = join(ROOT, 'nextjs')

test.each(['--turbopack', '--webpack'])('Next.js builds with %s, and its routes record, close and count', async (bundler) => {
  // Bundlers follow a link out of node_modules, and then take the package into the bundle.
  if (lstatSync(join(ROOT, 'node_modules', 'signalloop')).isSymbolicLink()) throw new Error('signalloop is a link here: `npm run test:examples` installs it')
  const env = { NEXT_TELEMETRY_DISABLED: '1', SIGNALLOOP_HOME: join(newHome(), 'ml'), NODE_ENV: 'production' }
  rmSync(join(FOLDER, '.next'), { recursive: true, force: true })
  expect(await runProgram([process.execPath, NEXT, 'build', bundler, FOLDER], env)).toMatchObject({ code: 0 })
  // No home is opened by a build.
  expect(existsSync(env.SIGNALLOOP_HOME)).toBe(false)
  const server = await serve([process.execPath, NEXT, 'start', '--port', '0', '--hostname', '127.0.0.1', FOLDER], env)
  try {
    await expectToLearn(server, '/signals')
  } finally {
    await server.stop()
  }
}, 300_000)
