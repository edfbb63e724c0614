import { feedbackTracker, type SignalInput } from 'signalloop'

/** Takes a signal if what was learned speaks for it. Recorded it is in any case: what is left is followed and learned from, too. */
export async function consider(signal: SignalInput): Promise<{ taken: boolean; why: string[] }> {
  const { take, reasons } = await feedbackTracker.assess(signal)
  await feedbackTracker.recordSignal({ ...signal, taken: take })
  return { taken: take, why: reasons }
}
