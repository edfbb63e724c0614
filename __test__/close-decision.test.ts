// Most signals are passed to native code as numbers, any other as an object. What is decided must not depend on that.

import { SignalLoop, type SignalLevels } from '..'
import { newHome, NOWHERE } from './helpers/home'

const { feedbackTracker } = new SignalLoop({ home: newHome(), exchangeUrl: NOWHERE, threads: 1 })

/** A sequence of numbers from 0 to below 1, always the same. */
const random = (seed: number) => () => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
  return seed / 2 ** 31
}

type Answer = { error: string } | { decision: unknown }

/** The decision without the time at which it was made, or the error. */
const ask = (signal: unknown, price: number): Answer => {
  try {
    const { events, ...decision } = feedbackTracker.shouldCloseSignal(signal as SignalLevels, price)
    return { decision: { ...decision, events: events?.map(({ at, ...event }) => ({ ...event, isNow: Math.abs(Date.parse(at) - Date.now()) < 60_000 })) } }
  } catch (error) {
    return { error: `${(error as Error).message}` }
  }
}

/** The same signal, which native code must read itself. */
const asObject = (signal: object) => ({ toJSON: () => signal })

const signalOf = (next: () => number) => {
  const pick = <T>(...values: T[]) => values[Math.floor(next() * values.length)]!
  const maybe = <T>(value: () => T) => (next() < 0.5 ? value() : pick(undefined, null))
  const isOdd = next() < 0.4
  /** A value that fits; of an odd signal, perhaps one that does not. */
  const one = <T>(fits: T[], odd: T[]) => pick(...(isOdd ? [...fits, ...odd] : fits))
  const buy = next() < 0.5
  const beyond = (r: number) => 100 + (buy ? r : -r)
  const time = () => one<unknown>(['2099-01-01T00:00:00.000Z', '2098-02-03T04:05:06Z', 4e12, new Date(4e12)], ['2099-02-30T00:00:00Z', '2001-01-01', 9e11, new Date(Number.NaN), 5])
  const isShared = next() < 0.5
  const target = (i: number) => ({ price: beyond(3 * i + 3 * next()), share: isShared ? one([20, 10], [60, 0]) : undefined })
  const targets = () => Array.from({ length: one([1, 2, 4], [16, 0, 17]) }, (_, i) => target(i + 1))
  const trail = () => ({ [pick('percent', 'atr', 'distance')]: one([1, 5], [0, 120]), activateAtR: maybe(() => one([0.5, 1], [-1])), ...(isOdd && next() < 0.2 ? { percent: 3 } : {}) })
  const breakEven = () => ({ breakEvenAfterTarget: one([1], [2, 1.5, 20]), breakEvenCostsPercent: maybe(() => one([0.1, 0.2], [100])) })
  const rules = () => ({
    ...(next() < 0.5 ? breakEven() : {}),
    trail: maybe(trail),
    moveTo: maybe(() => [{ afterTarget: 1, price: beyond(1) }]),
    ...(isOdd && next() < 0.1 ? { breakEvenAfter: 1 } : {}),
  })
  const entry = next() < 0.25 ? { entryZone: { low: 98, high: one([101], [97]) }, entryPrice: undefined } : { entryPrice: one<unknown>([100], [undefined, -1, Number.NaN, Infinity, '100']), entryType: maybe(() => one(['market', 'limit', 'stop'], ['other'])) }
  const waits = 'entryZone' in entry || entry.entryType === 'limit' || entry.entryType === 'stop'
  const severalTargets = maybe(targets)
  return {
    ...entry,
    signalType: buy ? 'BUY' : 'SELL',
    stopLoss: maybe(() => beyond(-one([4, 9], [-1]))),
    takeProfit: one([!severalTargets], [true]) && next() < 0.7 ? beyond(one([2, 5], [-1])) : undefined,
    expiresAt: maybe(time),
    entryExpiresAt: one([waits], [true]) && next() < 0.3 ? time() : undefined,
    takeProfits: severalTargets,
    stopRules: maybe(rules),
  }
}

test('is the same for numbers as for objects', () => {
  const next = random(7)
  const outcomes = new Map<string, number>()
  for (let i = 0; i < 20_000; i++) {
    const signal = signalOf(next)
    const price = 90 + 20 * next()
    const answer = ask(signal, price)
    expect(answer).toEqual(ask(asObject(signal), price))
    const kind = 'error' in answer ? 'error' : (answer.decision as { status?: string }).status ?? 'plain'
    outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1)
  }
  // All kinds of answers came up.
  for (const kind of ['error', 'plain', 'PENDING', 'OPEN', 'CLOSED', 'CANCELLED']) expect([kind, (outcomes.get(kind) ?? 0) > 50]).toEqual([kind, true])
})

describe('of a signal with getters', () => {
  const levels = { signalType: 'BUY', entryPrice: 100, stopLoss: 98, takeProfit: 104 } as const

  test('that ask about another signal', () => {
    const other = { ...levels, entryPrice: 10, stopLoss: 9, takeProfit: 12 }
    let inner: unknown
    const signal = {
      ...levels,
      get expiresAt() {
        inner = feedbackTracker.shouldCloseSignal(other, 8)
        return undefined
      },
    }
    expect(feedbackTracker.shouldCloseSignal(signal as never, 103)).toStrictEqual({ shouldClose: false, outcome: 'ACTIVE', profitLoss: 3 })
    expect(inner).toMatchObject({ shouldClose: true, outcome: 'STOPPED_OUT' })
  })

  test('of a class, and with toJSON', () => {
    class Signal {
      readonly #entry: number

      constructor(entry: number) {
        this.#entry = entry
      }

      get signalType() {
        return 'BUY' as const
      }

      get entryPrice() {
        return this.#entry
      }

      get stopLoss() {
        return 0.98 * this.#entry
      }
    }
    class Stored extends Signal {
      toJSON() {
        return { signalType: 'SELL', entryPrice: this.entryPrice }
      }
    }
    expect(feedbackTracker.shouldCloseSignal(new Signal(100) as never, 97)).toStrictEqual({ shouldClose: true, outcome: 'STOPPED_OUT', profitLoss: -3 })
    expect(feedbackTracker.shouldCloseSignal(new Stored(100) as never, 97)).toStrictEqual({ shouldClose: false, outcome: 'ACTIVE', profitLoss: 3 })
  })

  test('that throw', () => {
    const signal = Object.defineProperty({ ...levels }, 'stopRules', { enumerable: true, get: () => { throw new Error('not loaded') } })
    expect(ask(signal, 103)).toMatchObject({ error: expect.stringContaining('not loaded') })
  })
})
