import { EventEmitter } from 'node:events'
import type { ClosedSignal } from 'signalloop'
import { price } from './exchange'
import { feedbackTracker } from './feedbackTracker'

/**
 * Requests the prices of `pairs` every `intervalMs`; each price closes the open signals it hits. Emits `closed` with a `ClosedSignal`,
 * and `problem` with an error if a price could not be fetched; it continues with the next one.
 */
export class PriceStream extends EventEmitter<{ closed: [ClosedSignal]; problem: [Error] }> {
  #timer: NodeJS.Timeout | undefined
  #round: Promise<unknown> = Promise.resolve()

  constructor(
    readonly pairs: readonly string[],
    readonly intervalMs: number,
  ) {
    super()
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#round = Promise.all(this.pairs.map((pair) => this.#look(pair))).finally(() => this.#timer && this.start())
    }, this.intervalMs)
  }

  /** Resolves when the current prices are processed. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#round
  }

  async #look(pair: string): Promise<void> {
    try {
      for (const closed of await feedbackTracker.onPrice(pair, await price(pair))) this.emit('closed', closed)
    } catch (error) {
      this.emit('problem', error as Error)
    }
  }
}
