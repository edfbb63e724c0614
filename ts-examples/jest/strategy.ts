import { feedbackTracker, type SignalInput } from 'signalloop'

/** Takes a signal if what was learned speaks for it; what is taken is recorded. */
export async function consider(signal: SignalInput): Promise<{ taken: boolean; why: string[] }> {
  const { take, reasons } = await feedbackTracker.assess(signal)
  if (take) await feedbackTracker.recordSignal(signal)
  return { taken: take, why: reasons }
}
