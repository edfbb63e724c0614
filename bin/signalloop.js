#!/usr/bin/env node
'use strict'

const { endCli, runCli } = require('../native.js')

for (const signal of ['SIGINT', 'SIGTERM']) {
  // A command that does not listen ends the way a process does; so does one that is asked twice.
  process.once(signal, () => endCli() || process.kill(process.pid, signal))
}

runCli(process.argv.slice(2)).then((code) => {
  process.exitCode = code
})
