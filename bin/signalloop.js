#!/usr/bin/env node
'use strict'

const { host, load } = require('../loading.js')

const OLDEST_NODE = 20

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  console.error(`warning: signalloop is tested on Node.js ${OLDEST_NODE} and newer, this is ${process.version}; install a newer one`)
}

/** The native part; without it, the command ends with why. */
function loaded() {
  try {
    return load()
  } catch ({ code, message }) {
    console.error(`error: ${message} [${code}]`)
    if (process.argv.includes('--json')) console.log(JSON.stringify({ error: { code, message } }, null, 2))
    process.exitCode = 1
  }
}

const native = loaded()
if (native) run(native)

function run({ endCli, runCli }) {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    // A command that does not listen ends the way a process does; so does one that is asked twice.
    process.once(signal, () => endCli() || process.kill(process.pid, signal))
  }

  runCli(process.argv.slice(2), host()).then((code) => {
    process.exitCode = code
  })
}
