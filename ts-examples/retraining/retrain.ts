/**
 * An npm script that retrains what is older than a day, with progress, and ends with 0 only when every model is young.
 *
 *     "retrain": "tsx retraining/retrain.ts"
 *
 * Ctrl-C ends it early; the models in service stay.
 */
import { close, train } from 'signalloop'

async function main(): Promise<void> {
  const controller = new AbortController()
  process.once('SIGINT', () => controller.abort())

  try {
    const { successful, withSkill, failed, skipped, results } = await train({
      mode: 'retrain',
      maxAgeHours: 24,
      signal: controller.signal,
      onProgress: ({ symbol, timeframe, phase, finished, total }) => {
        if (phase === 'done' || phase === 'failed') console.log(`${finished}/${total} ${symbol} ${timeframe}: ${phase}`)
      },
    })
    for (const { symbol, timeframe, error, warning } of results) {
      if (error) console.error(`${symbol} ${timeframe}: ${error.message}`)
      if (warning) console.warn(`${symbol} ${timeframe}: ${warning}`)
    }
    // A model that was trained may have found nothing: then it says the base rate, and gives no signals.
    console.log(`${successful} trained, ${failed} failed, ${skipped.length} young enough; ${withSkill} beat their base rate`)
    process.exitCode = failed === 0 ? 0 : 1
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  } finally {
    await close()
  }
}

void main()
