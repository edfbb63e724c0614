// A section of `npm run bench` is an object `{ name, measure }`; it also runs alone, as `node benches/<name>.mjs`.
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { aboutMachine } from './machine.mjs'
import { inFolder } from './measure.mjs'
import { table, verdict } from './report.mjs'

export const OPTIONS = {
  data: { type: 'string' },
  quick: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
}

/**
 * The rows of a section. It is given an empty folder, the folder of real candles (or `undefined`), whether it shall be quick,
 * and how many rounds are to be played.
 */
export async function rowsOf({ name, measure }, { data, quick }) {
  console.error(`${name} …`)
  const rows = await inFolder(tmpdir(), (folder) => measure({ folder, data, quick, rounds: quick ? 1 : 5 }))
  return rows.map((row) => (row.ours ? verdict(row) : row))
}

/** Runs a section by itself, if its file (`import.meta.url`) is what Node was started with. */
export async function alone(section, url) {
  if (process.argv[1] !== fileURLToPath(url)) return
  const { values: options } = parseArgs({ options: OPTIONS })
  const begin = performance.now()
  const about = aboutMachine()
  const rows = await rowsOf(section, options)
  console.log(options.json ? JSON.stringify(rows, null, 2) : table(`${about}; ${Math.round((performance.now() - begin) / 1000)} s.`, rows))
}
