#!/usr/bin/env node
'use strict'

const OLDEST_NODE = 20

const glibc = process.platform === 'linux' && process.report?.getReport().header.glibcVersionRuntime
const host = [`Node.js ${process.version}`, `${process.platform} ${process.arch}`, glibc && `glibc ${glibc}`].filter(Boolean).join(', ')

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  console.error(`warning: signalloop is tested on Node.js ${OLDEST_NODE} and newer, this is ${process.version}; install a newer one`)
}

/** The native part, or the end of the process, with what to do about it. */
function load() {
  try {
    return require('../native.js')
  } catch (error) {
    // The loader tries several files; the system's own words are in the causes.
    const causes = []
    for (let cause = error; cause; cause = cause.cause) causes.push(cause.message)
    console.error(`error: the native part of signalloop cannot be loaded on ${host}

${causes.join('\n')}

It comes as an optional dependency of npm's for Linux (glibc 2.28 or newer, or musl), macOS and Windows on x64, and Linux and
macOS on arm64. Install without --omit=optional, on the machine that runs it; from a checkout, \`npm run build\` makes it.`)
    process.exit(1)
  }
}

const { endCli, runCli } = load()

for (const signal of ['SIGINT', 'SIGTERM']) {
  // A command that does not listen ends the way a process does; so does one that is asked twice.
  process.once(signal, () => endCli() || process.kill(process.pid, signal))
}

runCli(process.argv.slice(2), host).then((code) => {
  process.exitCode = code
})
