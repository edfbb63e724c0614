#!/usr/bin/env node
'use strict'

const { readFileSync } = require('node:fs')
const { homedir } = require('node:os')
const { join, resolve } = require('node:path')
const { pathToFileURL } = require('node:url')
const { host, load } = require('../loading.js')
const { ownModel } = require('../own-model.js')
const { reasonOf } = require('../reason.js')
const { asked } = require('../strategy.js')

const OLDEST_NODE = 20
/** Commands that neither train nor predict. */
const WITHOUT_MODEL = ['demo', 'doctor', 'simulator', 'help', '--help', '-h', '--version', '-V']

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

  const args = process.argv.slice(2)
  Promise.all([strategyIn(args), modelIn(args)]).then(
    ([strategy, model]) => runCli(args, host(), strategy, model).then((code) => {
      process.exitCode = code
    }),
    ({ message }) => {
      console.error(`error: ${message} [ERR_INVALID_ARGUMENT]`)
      if (args.includes('--json')) console.log(JSON.stringify({ error: { code: 'ERR_INVALID_ARGUMENT', message } }, null, 2))
      process.exitCode = 1
    },
  )
}

/** The own model that `model` in the home's training_config.json names, as native code calls it; `undefined` if none is named. */
async function modelIn(args) {
  if (args.length === 0 || args.some((arg) => WITHOUT_MODEL.includes(arg))) return undefined
  const home = homeIn(args)
  let file
  try {
    file = JSON.parse(readFileSync(join(home, 'training_config.json'), 'utf8').replace(/^\uFEFF/, '')).model
  } catch {
    // Native code reads the file too, and says what is wrong with it.
    return undefined
  }
  if (typeof file !== 'string' || file === '') return undefined
  const path = resolve(home, file)
  try {
    const module = await import(pathToFileURL(path).href)
    // A CommonJS module is the default export of itself; a model may take time to load.
    return ownModel((await (module.default?.default ?? module.default)) ?? null) ?? refuseModel(path)
  } catch (error) {
    throw new Error(`the model ${path} cannot be loaded: ${reasonOf(error)}`)
  }
}

const refuseModel = (path) => {
  throw new Error(`${path} has no default export`)
}

/** The home that the arguments or the environment name. */
function homeIn(args) {
  const at = args.findIndex((arg) => arg === '--home' || arg.startsWith('--home='))
  const given = args[at]?.includes('=') ? args[at].slice('--home='.length) : args[at + 1]
  const home = (at >= 0 && given) || process.env.SIGNALLOOP_HOME || 'ml'
  return resolve(home.replace(/^~(?=$|[/\\])/, homedir()))
}

/** The strategy that `replay --strategy FILE` names, as native code calls it; `undefined` if none is named. */
async function strategyIn(args) {
  if (!args.includes('replay')) return undefined
  const at = args.findIndex((arg) => arg === '--strategy' || arg.startsWith('--strategy='))
  const file = args[at]?.includes('=') ? args[at].slice('--strategy='.length) : args[at + 1]
  if (at < 0 || !file) return undefined
  let module
  try {
    module = await import(pathToFileURL(resolve(file)).href)
  } catch (error) {
    throw new Error(`the strategy ${file} cannot be loaded: ${reasonOf(error)}`)
  }
  // A CommonJS module is the default export of itself.
  const strategy = module.default?.default ?? module.default
  if (typeof strategy !== 'function') throw new Error(`the strategy ${file} must export a function as its default`)
  return asked(strategy)
}
