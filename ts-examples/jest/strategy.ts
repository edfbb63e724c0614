import { feedbackTracker, type SignalInput } from 'signalloop'

/** Takes a signal if `assess` recommends it. Every signal is recorded, because signals that were not taken are learned from, too. */
export async function consider(signal: SignalInput): Promise<{ taken: boolean; why: string[] }> {
  const { take, reasons } = await feedbackTracker.assess(signal)
  await feedbackTracker.recordSignal({ ...signal, taken: take })
  return { taken: take, why: reasons }
}
