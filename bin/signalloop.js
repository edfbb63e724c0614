#!/usr/bin/env node
'use strict'

const { host, load } = require('../loading.js')

const OLDEST_NODE = 20

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  console.error(`warning: signalloop is tested on Node.js ${OLDEST_NODE} and newer, this is ${process.version}; install a newer one`)
}

/** Loads the native part; if it is missing, prints the reason and sets the exit code. */
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
    // If the running command does not handle signals, or at the second signal, the process ends as usual.
    process.once(signal, () => endCli() || process.kill(process.pid, signal))
  }

  runCli(process.argv.slice(2), host()).then((code) => {
    process.exitCode = code
  })
}
