/**
 * A backend of four processes with one home. Each records signals and gets the same prices, as if from its own subscription;
 * each signal is closed and reported by exactly one of them.
 *
 *     npx tsx cluster/main.ts
 */
import cluster from 'node:cluster'
import { close, feedbackTracker } from 'signalloop'

const WORKERS = 4
const EACH = 25

type Report = { recorded: number } | { closed: string[] }

async function primary(): Promise<void> {
  const closed: string[] = []
  const workers = Array.from({ length: WORKERS }, (_, number) => cluster.fork({ NUMBER: String(number) }))
  let recorded = 0
  cluster.on('message', (_worker, report: Report) => {
    if ('closed' in report) {
      closed.push(...report.closed)
      return
    }
    recorded += report.recorded
    if (recorded === WORKERS * EACH) for (const worker of workers) worker.send('price')
  })
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))))
  const { overall } = await feedbackTracker.getStats()
  console.log(`${overall.closedSignals} of ${overall.totalSignals} closed, ${new Set(closed).size} told, ${closed.length - new Set(closed).size} told twice`)
  await close()
}

async function worker(): Promise<void> {
  const timestamp = Date.now()
  const signals = Array.from({ length: EACH }, (_, i) => ({
    id: `${process.env.NUMBER}-${i}`, pair: 'BTC/USDT', signalType: 'SELL' as const, confidence: 60, entryPrice: 100, stopLoss: 102, takeProfit: 96, timestamp,
  }))
  process.once('message', async () => {
    const closed = await feedbackTracker.onPrice('BTC/USDT', 96)
    process.send!({ closed: closed.map(({ id }) => id) }, undefined, undefined, () => process.disconnect())
  })
  process.send!({ recorded: await feedbackTracker.recordSignals(signals) })
}

void (cluster.isPrimary ? primary() : worker())
