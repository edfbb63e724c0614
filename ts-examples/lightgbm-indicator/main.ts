/**
 * A LightGBM's probability as an indicator of your signals: `assess` learns from outcomes what it is worth, as of any indicator. It needs no
 * calibration and no training period.
 *
 *     npm install onnxruntime-node
 *     npx tsx lightgbm-indicator/main.ts
 *
 * The model is that of own-model/train.py, and the candles are made up, so that the example needs no network.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { SignalLoop } from 'signalloop'
import { writeCandles } from '../replay/market'

/** The first outcome that the LightGBM has not learned from. */
const UNSEEN = Date.UTC(2024, 4, 1)

interface Candle {
  time: number
  decided: number
  features: number[]
  /** Whether a BUY at its close would have succeeded. */
  success: boolean
}

/** The candles with their features and outcomes, as the command line writes them. */
function candlesOf(home: string): Candle[] {
  const [cli, file] = [join(dirname(require.resolve('signalloop')), 'bin', 'signalloop.js'), join(home, 'rows.csv')]
  const args = ['data', 'features', '--home', home, '--symbol', 'BTCUSDT', '--timeframe', '1h', '--out', file]
  const { status, stderr } = spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(1).map((line) => {
    const cells = line.split(',').slice(2).map(Number)
    return { time: cells[0]!, decided: cells[1]!, features: cells.slice(2, -2), success: cells.at(-2) === 1 }
  })
}

async function main(home: string): Promise<void> {
  writeCandles(home, 'BTCUSDT', 240 * 24, 7)
  const session = await ort.InferenceSession.create(join(__dirname, '..', 'own-model', 'buy.onnx'))
  const probabilityOf = async ({ features }: Candle): Promise<number> => {
    const { probabilities } = await session.run({ input: new ort.Tensor('float32', Float32Array.from(features), [1, features.length]) })
    return Number(probabilities!.data[1])
  }
  const signalOf = async (candle: Candle) => {
    const close = candle.time + 3_600_000
    return {
      id: `signal-${close}`, pair: 'BTC/USDT', timeframe: '1h', signalType: 'BUY', confidence: 60, timestamp: close,
      entryPrice: 100, stopLoss: 98, takeProfit: 104, indicators: { lightgbm: await probabilityOf(candle) },
    } as const
  }
  // Every twelfth hour the strategy gives a BUY; what came of it is known when its outcome was decided.
  const candles = candlesOf(home).filter(({ time }, row) => time >= UNSEEN && row % 12 === 0)
  const loop = new SignalLoop({ home })
  const { feedbackTracker } = loop
  try {
    for (const candle of candles) {
      const signal = await signalOf(candle)
      await feedbackTracker.recordSignal(signal)
      const [outcome, exitPrice] = candle.success ? (['SUCCESS', 104] as const) : (['FAILURE', 98] as const)
      await feedbackTracker.updateOutcome({ signalId: signal.id, outcome, exitPrice, closedAt: candle.decided })
    }
    for (const lightgbm of [0.15, 0.6]) {
      const signal = { ...(await signalOf(candles.at(-1)!)), id: 'new', timestamp: Date.now(), indicators: { lightgbm } }
      const { successProbability, closed } = await feedbackTracker.assess(signal)
      console.log(`lightgbm ${lightgbm}: ${(100 * successProbability).toFixed(0)} % by ${closed} closed signals`)
    }
  } finally {
    await loop.close()
  }
}

const home = mkdtempSync(join(tmpdir(), 'signalloop-lightgbm-'))
void main(home).finally(() => rmSync(home, { recursive: true, force: true }))
