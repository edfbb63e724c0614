// Runs the Node tests in several Jests beside each other: each runs its files in one process, where Jest finds what a test leaves
// open. Arguments are for one Jest instead:
//
//     npm run test:node                # all
//     npm run test:node -- feedback    # some files
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beside } from './beside.mjs'

/** More than two processors, since many tests wait. */
const JESTS = 3

const jest = join(dirname(fileURLToPath(import.meta.url)), 'jest.mjs')
const args = process.argv.slice(2)
const part = (_, index) => ({
  name: `part ${index + 1} of ${JESTS}`,
  program: process.execPath,
  args: [jest, '--runInBand', `--shard=${index + 1}/${JESTS}`],
})
if (args.length > 0) process.exitCode = spawnSync(process.execPath, [jest, ...args], { stdio: 'inherit' }).status ?? 1
else await beside(...Array.from({ length: JESTS }, part).map((one) => [one]))
