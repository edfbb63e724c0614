import { SignalLoop } from 'signalloop'

const known = globalThis as { signalLoop?: SignalLoop }

/** The loop of this process: opened at the first request, not at the build, and kept when `next dev` loads this file again. */
export const loop = (): SignalLoop => (known.signalLoop ??= new SignalLoop({ home: process.env.SIGNALLOOP_HOME ?? './ml' }))
