// The peers, what each can do of the task, and how it is installed and started.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { python } from '../shared/peers.mjs'
import { beside, run } from './child.mjs'

const KIT = 'backtest-kit'
const KIT_VERSION = '19.5.0'

const inPython = (suffix, script) => () => {
  const { missing, versions, python: executable } = python(suffix)
  return { missing, versions, start: (candles) => run(executable, [beside(script), candles]) }
}

/** Apart from the other npm peers: should one of its packages be missing, they can be installed all the same. */
function backtestKit() {
  const folder = beside('../peers/.backtest-kit')
  const about = join(folder, 'node_modules', KIT, 'package.json')
  const installed = () => existsSync(about) && JSON.parse(readFileSync(about, 'utf8')).version === KIT_VERSION
  if (!installed()) {
    console.error(`installing ${KIT} into benches/peers/.backtest-kit …`)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true }))
    const args = ['install', '--no-audit', '--no-fund', `${KIT}@${KIT_VERSION}`]
    const { status, error, stderr } = spawnSync('npm', args, { cwd: folder, encoding: 'utf8', shell: process.platform === 'win32' })
    const reason = () => stderr.split('\n').find((line) => /No matching|404|ERR/.test(line)) ?? `npm ended with ${status}`
    if (status !== 0) return { missing: `${KIT} ${KIT_VERSION} cannot be installed: ${error?.message ?? reason()}` }
  }
  return { versions: `${KIT} ${KIT_VERSION}`, start: (candles) => run(process.execPath, [beside('backtest_kit.mjs'), folder, candles]) }
}

/** By name. `rounds`: whether it takes part in every round, because it is quick. */
export const PEERS = {
  'backtesting.py': { handles: 'overlapping, with expiry; symbol by symbol', rounds: true, install: inPython('-backtesting', 'backtesting_peer.py') },
  vectorbt: { handles: 'one a symbol and rule, no expiry', rounds: true, install: inPython('-vectorbt', 'vectorbt_peer.py') },
  freqtrade: { handles: 'spot: BUY only, one a pair, with expiry', install: inPython('-freqtrade', 'freqtrade_peer.py') },
  Jesse: { handles: 'fast mode: one a symbol, with expiry', install: inPython('-jesse', 'jesse_peer.py') },
  [KIT]: { handles: 'one a symbol, with expiry', install: backtestKit },
}

/** Names by what `--peers` says: `all`, `none`, or a list. */
export function peersOf(text) {
  const names = text === 'all' ? Object.keys(PEERS) : text === 'none' ? [] : text.split(',')
  const unknown = names.filter((name) => !Object.hasOwn(PEERS, name))
  if (unknown.length > 0) throw new Error(`--peers must be all, none or some of ${Object.keys(PEERS).join(', ')}; got ${unknown.join(', ')}`)
  return names
}
