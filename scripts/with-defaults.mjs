// Runs a command with default values of environment variables, on every operating system:
//
//     node scripts/with-defaults.mjs NAME=value … command argument …
import { spawnSync } from 'node:child_process'

const args = process.argv.slice(2)
const first = args.findIndex((arg) => !/^[A-Z_]+=/.test(arg))
const defaults = Object.fromEntries(args.slice(0, first).map((arg) => arg.split(/=(.*)/s).slice(0, 2)))
const [command, ...rest] = args.slice(first)
const ended = spawnSync(command, rest, { stdio: 'inherit', env: { ...defaults, ...process.env } })
if (ended.error) console.error(`Cannot start ${command}: ${ended.error.message}`)
process.exit(ended.status ?? 1)
