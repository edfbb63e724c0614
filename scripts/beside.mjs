// Runs programs beside each other. What a program prints is shown when it ends, so that the lines of two programs do not mix.
import { spawn } from 'node:child_process'

/** What the running programs have printed, by their names. */
const running = new Map()

const show = (name, text) => process.stdout.write(`\n== ${name}\n${text}`)

// Where a time limit ends the script, what a hanging program printed is shown.
process.once('SIGTERM', () => {
  for (const [name, text] of running) show(`${name} did not end`, text)
  process.exit(1)
})

/** Runs a program, shows what it printed, and tells whether it succeeded. */
function run({ name, program, args = [], folder = process.cwd(), env = {}, shell = false }) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: folder, env: { ...process.env, ...env }, shell, stdio: ['ignore', 'pipe', 'pipe'] })
    const print = (text) => running.set(name, running.get(name) + text)
    running.set(name, '')
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', print)
    child.once('error', (error) => print(`Cannot start ${program}: ${error.message}\n`))
    child.once('close', (code, signal) => {
      if (signal !== null) print(`ended by ${signal}\n`)
      show(name, running.get(name))
      running.delete(name)
      resolve(code === 0)
    })
  })
}

/**
 * Runs the programs of each list one after the other, and the lists beside each other, all to their end; of a list that is given
 * twice, two run at once. If one fails, names it and makes this script fail.
 */
export async function beside(...lists) {
  const failed = []
  const inTurn = async (list) => {
    for (let one = list.shift(); one !== undefined; one = list.shift()) if (!(await run(one))) failed.push(one.name)
  }
  await Promise.all(lists.map(inTurn))
  if (failed.length === 0) return
  console.error(`\nfailed: ${failed.join(', ')}`)
  process.exitCode = 1
}
