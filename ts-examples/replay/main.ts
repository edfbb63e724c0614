/**
 * Would signalloop have helped this strategy? The whole loop runs over past candles with a simulated clock, once as it is and once
 * without each of two of its parts.
 *
 *     npx tsx replay/main.ts
 *
 * The candles are made up, so that the example needs no network. With candles of a home of yours, leave `writeCandles` out.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { SignalLoop } from 'signalloop'
import { writeCandles } from './market'
import { emaCross } from './strategy'

const SYMBOLS = ['BTCUSDT', 'ETHUSDT']

async function main(): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'signalloop-replay-example-'))
  SYMBOLS.forEach((symbol, number) => {
    writeCandles(home, symbol, 240 * 24, number + 1)
  })
  const loop = new SignalLoop({ home })
  try {
    loop.configure({ symbols: SYMBOLS, timeframes: ['1h'] })
    const { verdict, summary, parts } = await loop.replay({
      strategy: emaCross,
      compare: ['models', 'outcomes'],
      // Trainings every two weeks instead of every night, and few trees, so that the example takes seconds.
      configuration: { trees: 10 },
      scheduler: { retrain: { interval: '14d' }, update: { enabled: false } },
      report: resolve(process.env.REPLAY_REPORT ?? 'replay.html'),
      onProgress: ({ at, run, signals }) => {
        if (process.stderr.isTTY) process.stderr.write(`\rrun ${run + 1} of 3, ${at.slice(0, 10)}, ${signals} signals `)
      },
    })
    if (process.stderr.isTTY) process.stderr.write('\n')

    const { all, taken, left } = summary
    for (const [name, set] of Object.entries({ all, taken, left })) {
      const meanR = set.meanR === undefined ? 'no result' : `${set.meanR.toFixed(3)} R each`
      console.log(`${name}: ${set.signals} signals, ${set.closed} closed, ${meanR}`)
    }
    console.log(verdict.advice.words)
    console.log(verdict.signals.words)
    for (const { without, verdict } of parts) console.log(`${without}: ${verdict.words}`)
  } finally {
    await loop.close()
    rmSync(home, { recursive: true, force: true })
  }
}

void main()
