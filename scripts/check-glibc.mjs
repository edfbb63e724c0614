// Says which glibc a built addon needs, and fails when that is newer than the floor:
//
//     npm run check:glibc                              # the addon built here, against this machine's own glibc
//     npm run check:glibc -- 2.28 signalloop.linux-x64-gnu.node
//
// Node.js 20's own binaries need glibc 2.28, so a floor below that would help nobody. Only an addon that was built against an
// old glibc keeps it: the release workflow does; a build on a new distribution needs that distribution's.
import { readFileSync, readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
const here = process.report.getReport().header.glibcVersionRuntime
const [floor = here, ...given] = process.argv.slice(2)
const files = given.length > 0 ? given : readdirSync('.').filter((name) => /\.linux-.*-gnu\.node$/.test(name))
if (files.length === 0 || !floor) {
  console.error(floor ? 'There is no addon for glibc here; build one with `npm run build`.' : 'This system has no glibc: name a floor.')
  process.exit(1)
}

const parts = (version) => version.split('.').map(Number)
const newer = (one, other) => {
  const [[a, b], [c, d]] = [parts(one), parts(other)]
  return a !== c ? a > c : b > d
}

let failed = false
for (const file of files) {
  // The names of the versions that an ELF file needs stand in its string table, each ended by a zero.
  const names = readFileSync(file, 'latin1').match(/(?<=GLIBC_)\d+\.\d+(?=[.\d]*\0)/g) ?? []
  const needed = names.reduce((newest, name) => (newer(name, newest) ? name : newest), '0.0')
  const right = names.length > 0 && !newer(needed, floor)
  console.log(`${file} needs glibc ${needed}; ${right ? `${floor} has it` : `${floor} does not`}`)
  failed ||= !right
}
process.exit(failed ? 1 : 0)
