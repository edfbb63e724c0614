/**
 * A program to be bundled: it records a signal, and a price closes it. signalloop stays out of the bundle, because no bundler can take its
 * native part into it; the program loads it from node_modules.
 *
 *     npm run bundle:esbuild     # or bundle:webpack, bundle:vite
 *     node bundlers/dist/esbuild.mjs
 */
import { close, feedbackTracker, type SignalInput } from 'signalloop'

const signal: SignalInput = {
  id: `bundled-${Date.now()}`, pair: 'BTC/USDT', signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 98, takeProfit: 104, timestamp: Date.now(),
}

async function main(): Promise<void> {
  await feedbackTracker.recordSignal(signal)
  const [closed] = await feedbackTracker.onPrice('BTCUSDT', 105)
  console.log(closed?.outcome)
  await close()
}

void main()
