/**
 * Your own model beside ours: a LightGBM, trained elsewhere on features that signalloop has written (train.py), saved as ONNX, and
 * weighed by what it knows on candles that it has not seen.
 *
 *     npm install onnxruntime-node
 *     npx tsx own-model/main.ts
 *
 * The candles are made up, so that the example needs no network. With candles of a home of yours, leave `writeCandles` out.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignalLoop, onnxModel } from 'signalloop'
import { writeCandles } from '../replay/market'

const HOURS = 240 * 24
/** The home has one market; the LightGBM has learned from others. */
const [SYMBOL, SEED] = ['BTCUSDT', 7]
const OTHERS = ['ETHUSDT', 'SOLUSDT', 'ADAUSDT', 'AVAXUSDT', 'DOGEUSDT', 'DOTUSDT', 'XRPUSDT', 'BNBUSDT']

async function main(home: string): Promise<void> {
  writeCandles(home, SYMBOL, HOURS, SEED)
  const model = await onnxModel(
    { buy: join(__dirname, 'buy.onnx'), sell: join(__dirname, 'sell.onnx') },
    // train.py has learned from outcomes that were known until then.
    { name: 'lightgbm', trainedUntil: '2024-05-01T00:00:00Z' },
  )
  const loop = new SignalLoop({ home, model })
  try {
    loop.configure({ symbols: [SYMBOL], timeframes: ['1h'], trees: 20 })
    const { results } = await loop.train({ fetch: false })
    const info = results[0]?.model
    if (!info?.ownModel) throw new Error(results[0]?.error?.message)
    for (const [side, { weight, rows, slope, slopeError }] of [['BUY', info.ownModel.buy], ['SELL', info.ownModel.sell]] as const) {
      console.log(`${side}: weight ${weight.toFixed(2)}, slope ${slope?.toFixed(2)} ± ${slopeError?.toFixed(2)} on ${rows} rows that it has not seen`)
    }
    console.log(`log loss ${info.logLoss.toFixed(4)}, of the base rate ${info.constantLogLoss.toFixed(4)}`)
    const { signal, probabilities } = await loop.predict({ symbol: SYMBOL, timeframe: '1h' })
    console.log(`${signal}: a BUY succeeds with ${probabilities.BUY.toFixed(1)} %, a SELL with ${probabilities.SELL.toFixed(1)} %`)
  } finally {
    await loop.close()
  }
}

const at = process.argv.indexOf('--candles')
const folder = process.argv[at + 1]
if (at > 0 && folder) {
  OTHERS.forEach((symbol, number) => {
    writeCandles(folder, symbol, HOURS, 100 + number)
  })
  writeFileSync(join(folder, 'training_config.json'), JSON.stringify({ symbols: OTHERS, timeframes: ['1h'] }))
} else {
  const home = mkdtempSync(join(tmpdir(), 'signalloop-own-model-'))
  void main(home).finally(() => rmSync(home, { recursive: true, force: true }))
}
