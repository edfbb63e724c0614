// Prints which glibc a built addon needs, and fails if that is newer than the required minimum:
//
//     npm run check:glibc                              # the addon built here, against this machine's own glibc
//     npm run check:glibc -- 2.28 signalloop.linux-x64-gnu.node
//
// Node.js 20's own binaries need glibc 2.28, so a lower minimum would be useless. Only an addon built against an
// old glibc meets it: the release workflow builds one; a build on a new distribution needs that distribution's glibc.
import { readFileSync, readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
const here = process.report.getReport().header.glibcVersionRuntime
const [floor = here, ...given] = process.argv.slice(2)
const files = given.length > 0 ? given : readdirSync('.').filter((name) => /\.linux-.*-gnu\.node$/.test(name))
if (files.length === 0 || !floor) {
  console.error(floor ? 'There is no addon for glibc in this folder; build one with `npm run build`.' : 'This system has no glibc: pass the minimum version as an argument.')
  process.exit(1)
}

const parts = (version) => version.split('.').map(Number)
const newer = (one, other) => {
  const [[a, b], [c, d]] = [parts(one), parts(other)]
  return a !== c ? a > c : b > d
}

let failed = false
for (const file of files) {
  // The string table of an ELF file contains the names of the versions it needs, each followed by a zero byte.
  const names = readFileSync(file, 'latin1').match(/(?<=GLIBC_)\d+\.\d+(?=[.\d]*\0)/g) ?? []
  const needed = names.reduce((newest, name) => (newer(name, newest) ? name : newest), '0.0')
  const right = names.length > 0 && !newer(needed, floor)
  console.log(`${file} needs glibc ${needed}; ${right ? `${floor} has it` : `${floor} does not`}`)
  failed ||= !right
}
process.exit(failed ? 1 : 0)
