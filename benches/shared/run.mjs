// A section of `npm run bench` is an object `{ name, measure }`; it also runs alone, as `node benches/<name>.mjs`.
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { aboutMachine } from './machine.mjs'
import { inFolder } from './measure.mjs'
import { peersUsed } from './peers.mjs'
import { table, verdict } from './report.mjs'

export const OPTIONS = {
  data: { type: 'string' },
  quick: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
}

/**
 * The rows of a section, and what they were measured on. The section is given an empty folder, the folder of real candles (or
 * `undefined`), whether it shall be quick, and how many rounds are to be played.
 */
export async function figuresOf({ name, measure }, { data, quick }) {
  console.error(`${name} …`)
  peersUsed()
  const begin = performance.now()
  const machine = aboutMachine()
  const measured = await inFolder(tmpdir(), (folder) => measure({ folder, data, quick, rounds: quick ? 1 : 5 }))
  const rows = measured.map((row) => (row.ours ? verdict(row) : row))
  const seconds = Math.round((performance.now() - begin) / 1000)
  const about =
    `${[machine, ...peersUsed()].join(', ')}; ${quick ? 'quick, ' : ''}medians of the rounds, lowest and highest in brackets; ${seconds} s.`
  return { about, rows }
}

/** Runs a section by itself, if its file (`import.meta.url`) is what Node was started with. */
export async function alone(section, url) {
  if (process.argv[1] !== fileURLToPath(url)) return
  const { values: options } = parseArgs({ options: OPTIONS })
  const figures = await figuresOf(section, options)
  console.log(options.json ? JSON.stringify(figures, null, 2) : table(figures))
}
