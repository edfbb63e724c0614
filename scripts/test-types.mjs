// Compiles what a TypeScript project writes against index.d.ts, with the TypeScript that this project uses and with the
// newest, with every module resolution that backends use.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const COMPILERS = ['typescript', 'typescript-newest']
const STRICT = { strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, noImplicitOverride: true }
// The first setting also checks index.d.ts itself; the others need not repeat that.
const SETTINGS = {
  'nodenext, ESM': { type: 'module', module: 'NodeNext', moduleResolution: 'NodeNext', skipLibCheck: false },
  'nodenext, CommonJS, isolatedModules': { type: 'commonjs', module: 'NodeNext', moduleResolution: 'NodeNext', isolatedModules: true },
  'nodenext, verbatimModuleSyntax': { type: 'module', module: 'NodeNext', moduleResolution: 'NodeNext', verbatimModuleSyntax: true },
  'bundler': { type: 'module', module: 'ESNext', moduleResolution: 'Bundler' },
}
const PROGRAM = `
import { feedbackTracker, mlPredictor, replay, startScheduler, train, SignalLoop, FeedbackTracker, MLPredictor } from 'signalloop'
import type { ErrorCode, LoopEvent, Outcome, ReplayOptions, ReplayResult, Signal, SignalInput, Strategy, TaskName, Timeframe } from 'signalloop'
export { feedbackTracker as tracker } from 'signalloop'
export type { PerformanceStats } from 'signalloop'

export class Tracker extends FeedbackTracker {}
export const predictor = new MLPredictor('ETHUSDT', '4h' satisfies Timeframe)

/** If an event is not handled, this does not compile. */
export function inWords(event: LoopEvent): string {
  switch (event.type) {
    case 'signalClosed': return event.signal.outcome
    case 'signalChanged': return event.signal.status + event.events.length
    case 'modelPromoted': case 'modelRefused': case 'modelRolledBack': return event.reason
    case 'drift': return event.scope === 'outcomes' ? String(event.successSince) : String(event.quantities.length)
    case 'conservativeMode': return event.cause
    case 'emergencyTraining': return event.phase === 'finished' ? event.trained.join() : event.markets.join()
    case 'taskStarted': return event.task
    case 'fetchProgress': return event.symbol + event.fetched + (event.missing ?? 0) + (event.remainingSeconds ?? 0)
    case 'taskProgress': return String(event.done / event.total)
    case 'taskFinished': return event.run.message
    case 'taskFailed': return event.retryAt ?? event.run.outcome
    case 'pricesIgnored': return event.over ? event.newest : String(event.count)
    case 'warning': return event.message
    default: return event satisfies never
  }
}

export const breakout: Strategy = ({ symbol }, candles) => {
  const { close, low } = candles.at(-1)
  if (candles.length < 20 || close < Math.max(...candles.high.subarray(-20, -1))) return
  return { signalType: 'BUY', entryPrice: close, stopLoss: low, strategy: symbol }
}
export const again = async (): Promise<string> => told(await replay(asked))
export const asked: ReplayOptions = { strategy: breakout, compare: ['models'], scheduler: { retrain: { interval: '7d' } } }
export const told = ({ verdict, summary }: ReplayResult): string => verdict.advice.words + (summary.taken.meanR ?? 0)
// @ts-expect-error a strategy beside signals
export const both: ReplayOptions = { strategy: breakout, signals: 'trades.jsonl' }

const outcome: Exclude<Outcome, 'ACTIVE'> = 'SUCCESS'
const code: ErrorCode = 'ERR_NO_MODEL'
const task: TaskName = 'fetch'
export async function backend(signal: SignalInput, made: Signal): Promise<boolean> {
  const loop = new SignalLoop({ onEvent: (event) => console.log(inWords(event)) })
  await loop.feedbackTracker.recordSignal(made)
  await train({ mode: 'incremental', symbols: ['BTCUSDT'] })
  await startScheduler({ retrain: { time: '02:00' } }).runOnce(task)
  console.log(code, mlPredictor.isModelAvailable())
  return (await feedbackTracker.recordSignal(signal)) && feedbackTracker.updateOutcome({ signalId: signal.id, outcome })
}
// @ts-expect-error a bare string is no outcome
await0(feedbackTracker.updateOutcome({ signalId: 'a', outcome: 'won' as string }))
declare function await0(promise: Promise<boolean>): void
`

// The snippet of the old system's description, with declarations of the functions it assumes.
const SERVICE = "export { FeedbackTracker, feedbackTracker } from 'signalloop'\n"
const SNIPPET = (module) => `
// In your backend
import { feedbackTracker } from '${module}';
declare function getCurrentPrice(pair: string): Promise<number>
declare const signal: {
  id: string; pair: string; signalType: 'BUY' | 'SELL' | 'HOLD'; confidence: number; entryPrice: number
  stopLoss?: number; takeProfit?: number; timestamp: Date; timeframe: string; expiresAt: Date
}
export async function priceUpdates(): Promise<void> {
// When price updates
const currentPrice = await getCurrentPrice(signal.pair);
const result = feedbackTracker.shouldCloseSignal(signal, currentPrice);

if (result.shouldClose) {
  await feedbackTracker.updateOutcome({
    signalId: signal.id,
    outcome: result.outcome,
    exitPrice: currentPrice,
    profitLossPercent: result.profitLoss
  });
}
await feedbackTracker.recordSignal(signal)
}
`
// Compiler errors about a signal with camelCase keys must name those keys, not the other spelling.
const WRONG = {
  "{ ...signal, entryPrice: '104' }": /'string' is not assignable to type 'number'/,
  'text(signal)': /'entryPrice' are incompatible/,
  'loose(signal)': /'signalType' are incompatible/,
  'bare(signal)': /'confidence' is missing/,
}
const MISTAKE = (argument) => `
import { feedbackTracker, type Signal } from 'signalloop'
declare const signal: Signal
declare function text(signal: Signal): Omit<Signal, 'entryPrice'> & { entryPrice: string }
interface Loose extends Omit<Signal, 'signalType'> { signalType: string }
declare function loose(signal: Signal): Loose
declare function bare(signal: Signal): Omit<Signal, 'confidence'>
void feedbackTracker.recordSignal(${argument})
`

const require = createRequire(import.meta.url)
const folder = mkdtempSync(join(tmpdir(), 'signalloop-types-'))
let failed = 0
try {
  mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true })
  symlinkSync(ROOT, join(folder, 'node_modules', 'signalloop'), 'junction')
  for (const name of ['node', 'undici-types']) {
    const to = name === 'node' ? join('@types', 'node') : name
    symlinkSync(join(ROOT, 'node_modules', to), join(folder, 'node_modules', to), 'junction')
  }
  writeFileSync(join(folder, 'program.ts'), PROGRAM)
  mkdirSync(join(folder, 'services'))
  writeFileSync(join(folder, 'services', 'feedbackTracker.ts'), SERVICE)
  for (const compiler of COMPILERS) {
    const { version, bin } = require(`${compiler}/package.json`)
    for (const [name, { type, ...options }] of Object.entries(SETTINGS)) {
      writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type }))
      const compilerOptions = { ...STRICT, target: 'ES2023', skipLibCheck: true, noEmit: true, types: ['node'], ...options }
      // ES modules in Node need the file extension in imports.
      const needsEnding = type === 'module' && options.module === 'NodeNext'
      writeFileSync(join(folder, 'snippet.ts'), SNIPPET(`./services/feedbackTracker${needsEnding ? '.js' : ''}`))
      const tsc = join(dirname(require.resolve(`${compiler}/package.json`)), bin.tsc)
      const compile = (files) => {
        writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
        const { status, stdout, stderr, error } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' })
        return { status, said: error?.message ?? stdout + stderr }
      }
      const { status, said } = compile(['program.ts', 'snippet.ts'])
      console.log(`TypeScript ${version}, ${name}: ${status === 0 ? 'compiles' : `fails\n${said}`}`)
      if (status !== 0) failed += 1
      if (name !== 'bundler') continue
      for (const [argument, expected] of Object.entries(WRONG)) {
        writeFileSync(join(folder, 'mistake.ts'), MISTAKE(argument))
        const { status, said } = compile(['mistake.ts'])
        if (status !== 0 && expected.test(said) && !said.includes('signal_type')) continue
        console.log(`TypeScript ${version}: ${argument} is not reported by its key\n${said}`)
        failed += 1
      }
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit(failed === 0 ? 0 : 1)
