// Measures what loading the addon costs: the time of the first `require` in a new process, the size of its file,
// and the resident memory it adds.
//
//     node benches/footprint.mjs [--quick]
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { figures } from './shared/children.mjs'
import { alternate } from './shared/measure.mjs'
import { alone } from './shared/run.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Milliseconds and bytes of resident memory that loading `name` takes in a new process. */
const loaded = (name) =>
  figures(
    process.execPath,
    '-e',
    `const before = process.memoryUsage.rss(), begin = process.hrtime.bigint()
     require(${JSON.stringify(name)})
     const ms = Number(process.hrtime.bigint() - begin) / 1e6
     console.log(JSON.stringify({ ms, bytes: process.memoryUsage.rss() - before }))`,
  )

async function measure({ quick }) {
  const rss = []
  const ours = () => {
    const { ms, bytes } = loaded(ROOT)
    rss.push(bytes)
    return ms
  }
  // Node's own modules are in its binary: the minimum cost of a require.
  const played = await alternate(quick ? 5 : 21, { ours, control: () => loaded('node:http').ms })
  const addon = readdirSync(ROOT).filter((name) => name.endsWith('.node'))
  return [
    { what: '`require(\'signalloop\')` in a fresh process', unit: 'ms', lower: true, ours: played.ours, peer: played.control, peerName: 'node:http', target: 15 },
    ...addon.map((name) => ({ what: `\`${name}\``, unit: 'MB', lower: true, ours: [statSync(join(ROOT, name)).size / 1e6], target: 14 })),
    { what: 'resident memory that it adds', unit: 'MB', lower: true, ours: rss.map((bytes) => bytes / 1e6), target: 25 },
  ]
}

export const footprint = { name: 'footprint', measure }
await alone(footprint, import.meta.url)
