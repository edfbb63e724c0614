/**
 * Signals are made in worker threads, and the main thread feeds the prices: they share the store of the home.
 *
 *     npx tsx worker-threads/main.ts
 */
import { Worker } from 'node:worker_threads'
import { close, feedbackTracker } from 'signalloop'

const WORKERS = 3
const EACH = 50

async function main(): Promise<void> {
  const workers = Array.from({ length: WORKERS }, (_, number) => {
    const worker = new Worker(new URL('./worker.cjs', import.meta.url), { workerData: { number, count: EACH } })
    return new Promise<void>((resolve, reject) => {
      worker.once('error', reject)
      worker.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`worker ${number} ended with ${code}`))))
    })
  })
  await Promise.all(workers)

  const closed = await feedbackTracker.onPrice('BTC/USDT', 104)
  console.log(`${closed.length} of ${WORKERS * EACH} signals of ${WORKERS} threads closed`)
  await close()
}

void main()
