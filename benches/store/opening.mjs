// Opening a large log, and what it keeps in memory. Each opening happens in a process of its own (`opener.mjs`).
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SignalLoop } from '../../index.js'
import { alternate, inFolder } from '../shared/measure.mjs'
import { SYMBOLS, signals } from './signals.mjs'

const OPENER = fileURLToPath(new URL('opener.mjs', import.meta.url))
const CHUNK = 10_000

function open(kind, home) {
  const child = spawnSync(process.execPath, ['--max-old-space-size=8192', OPENER, kind, home], { encoding: 'utf8' })
  if (child.status !== 0) throw new Error(`opening with ${kind} failed: ${child.stderr}`)
  return JSON.parse(child.stdout)
}

/** Opens the home's log with its snapshot, without it, and in plain Node, by turns. */
async function openings(home, rounds, closed, total, kinds) {
  const snapshot = join(home, 'feedback', 'signals.index')
  const aside = `${snapshot}.aside`
  const check = (opened) => {
    if (opened.closed !== closed || opened.signals !== total) throw new Error(`opened with other signals: ${JSON.stringify(opened)}`)
    return opened
  }
  const turns = {
    snapshot: async () => check(open('signalloop', home)),
    log: async () => {
      renameSync(snapshot, aside)
      try {
        return check(open('signalloop', home))
      } finally {
        renameSync(aside, snapshot)
      }
    },
    readline: async () => check(open('readline', home)),
  }
  // The log lies in the system's cache for all of them.
  for (const file of readdirSync(join(home, 'feedback'))) readFileSync(join(home, 'feedback', file))
  return alternate(rounds, Object.fromEntries(kinds.map((kind) => [kind, turns[kind]])), { warmUp: false })
}

export async function opening({ folder, openRounds, logged }) {
  return inFolder(folder, async (home) => {
    const withLoop = async (work) => {
      const loop = new SignalLoop({ home })
      loop.configure({ durability: 'os' })
      try {
        await work(loop.feedbackTracker)
      } finally {
        await loop.close()
      }
    }
    /** Closes all open signals of the symbols: the price is above every BUY's target and every SELL's stop. */
    const close = (tracker, symbols) => tracker.onPrices(symbols, Float64Array.from(symbols, () => 1e6))
    await withLoop(async (tracker) => {
      for (let i = 0; i < logged; i += CHUNK) await tracker.recordSignals(signals(i, Math.min(CHUNK, logged - i)))
      await close(tracker, SYMBOLS.slice(0, 5))
    })
    const half = await openings(home, openRounds, logged / 2, logged, ['snapshot', 'log', 'readline'])
    const megabytes = Math.round(statSync(join(home, 'feedback', 'signals.jsonl')).size / 1e6)
    await withLoop((tracker) => close(tracker, SYMBOLS.slice(5)))
    const all = await openings(home, openRounds, logged, logged, ['snapshot', 'log'])

    const seconds = (openings) => openings.map((opened) => opened.seconds)
    const bytes = (openings) => openings.map((opened) => opened.residentBytes / logged)
    const peer = seconds(half.readline)
    const peerName = 'readline + JSON.parse, last line of an id'
    const log = `${logged} signals, half closed, ${megabytes} MB`
    const opened = { unit: 's', lower: true, peer, peerName, targetRatio: 5 }
    const memory = { unit: 'bytes', lower: true, target: 300 }
    return [
      { what: `opening ${log}, with the snapshot`, ours: seconds(half.snapshot), ...opened },
      { what: `opening ${log}, without the snapshot`, ours: seconds(half.log), ...opened },
      { what: 'resident memory a closed signal, all closed, with the snapshot', ours: bytes(all.snapshot), ...memory },
      { what: 'resident memory a closed signal, all closed, without the snapshot', ours: bytes(all.log), ...memory },
      { what: 'context: resident memory a signal, half closed, without the snapshot', ours: bytes(half.log), peer: bytes(half.readline), peerName, unit: 'bytes', lower: true },
    ]
  })
}
