// The tick path: prices against many open signals, with and without hits.
import { SignalLoop } from '../../index.js'
import { alternate, inFolder } from '../shared/measure.mjs'
import { CHUNK, SYMBOLS, mixed, quietPrice, signals } from './signals.mjs'

/** The signals that `shouldCloseSignal` is asked about, by what they are. */
const asked = () => {
  const buys = (more) => signals(0, 200).filter((signal) => signal.signalType === 'BUY').map((signal) => ({ ...signal, ...more }))
  return {
    plain: buys({}),
    dated: buys({ expiresAt: '2099-01-01T00:00:00.000Z' }),
    kinds: signals(0, 200, mixed).filter((signal) => signal.entryType || signal.takeProfits || signal.stopRules),
    filled: buys({ entryType: 'limit', entryExpiresAt: new Date('2099-01-01') }),
  }
}

/** A backend without an index: for each price, it checks every open signal of its symbol. */
class PlainLoop {
  constructor(open) {
    this.open = new Map(SYMBOLS.map((pair) => [pair, []]))
    for (const s of open) this.open.get(s.pair).push(s)
  }

  onPrice(pair, price) {
    const hit = []
    for (const s of this.open.get(pair)) {
      const up = s.signalType === 'BUY'
      if (up ? price <= s.stopLoss : price >= s.stopLoss) hit.push(s)
      else if (up ? price >= s.takeProfit : price <= s.takeProfit) hit.push(s)
    }
    return hit
  }
}

export async function quiet({ folder, rounds, open, ticks, singles, decisions }) {
  return inFolder(folder, async (home) => {
    const loop = new SignalLoop({ home })
    loop.configure({ durability: 'os' })
    const tracker = loop.feedbackTracker
    try {
      const all = signals(0, open)
      for (let i = 0; i < open; i += CHUNK) await tracker.recordSignals(all.slice(i, i + CHUNK))
      const naive = new PlainLoop(all)
      const pairs = Array.from({ length: CHUNK }, (_, i) => SYMBOLS[i % SYMBOLS.length])
      const prices = Float64Array.from({ length: CHUNK }, (_, i) => quietPrice(i))
      const none = (closed) => {
        if (closed.length > 0) throw new Error('a price closed a signal that it should not')
      }
      /** Milliseconds that `times` runs of `act` take. */
      const timed = async (times, act) => {
        const begin = performance.now()
        for (let i = 0; i < times; i++) await act(i)
        return performance.now() - begin
      }
      const inBulk = async () => (ticks / (await timed(ticks / CHUNK, async () => none(await tracker.onPrices(pairs, prices))))) * 1000
      const looped = async () => {
        const count = ticks / 500
        const begin = performance.now()
        for (let i = 0; i < count; i++) none(naive.onPrice(pairs[i % CHUNK], prices[i % CHUNK]))
        return (count / (performance.now() - begin)) * 1000
      }
      const single = async () => ((await timed(singles, async (i) => none(await tracker.onPrice(pairs[i % CHUNK], prices[i % CHUNK])))) / singles) * 1000
      /** Microseconds that a question about one of these signals takes, at a price in their range or at this one. */
      const deciding = (of, price) => async () => {
        const begin = performance.now()
        for (let i = 0; i < decisions; i++) tracker.shouldCloseSignal(of[i % of.length], price ?? prices[i % CHUNK])
        return ((performance.now() - begin) / decisions) * 1000
      }
      const { plain, dated, kinds, filled } = asked()
      const decision = { plain: deciding(plain), dated: deciding(dated), kinds: deciding(kinds), filled: deciding(filled, 99) }
      const figures = await alternate(rounds, { inBulk, looped, single, ...decision })
      const peerName = 'a plain loop over the symbol\'s open signals'
      return [
        { what: `\`onPrices\`, ${open} open, no hit, ${CHUNK} a call`, unit: 'prices/s', ours: figures.inBulk, peer: figures.looped, peerName, target: 1_000_000, targetRatio: 50 },
        { what: `one awaited \`onPrice\`, ${open} open, no hit`, unit: 'µs', ours: figures.single, target: 30, lower: true },
        { what: '`shouldCloseSignal` of a plain signal', unit: 'µs', ours: figures.plain, target: 2, lower: true },
        { what: 'of a plain signal that expires', unit: 'µs', ours: figures.dated, target: 2, lower: true },
        { what: 'of managed signals: pending, with four targets, trailing', unit: 'µs', ours: figures.kinds, target: 2, lower: true },
        { what: 'of a managed signal that the price fills', unit: 'µs', ours: figures.filled, target: 2, lower: true },
      ]
    } finally {
      await loop.close()
    }
  })
}

/** Prices that close nothing, against signals of all kinds: in a range, and rising, so that each is a new best price of stops that trail. */
export async function managed({ folder, rounds, open, ticks }) {
  return inFolder(folder, async (home) => {
    const loop = new SignalLoop({ home })
    loop.configure({ durability: 'os' })
    const tracker = loop.feedbackTracker
    try {
      const all = signals(0, open, mixed)
      for (let i = 0; i < open; i += CHUNK) await tracker.recordSignals(all.slice(i, i + CHUNK))
      const pairs = Array.from({ length: CHUNK }, (_, i) => SYMBOLS[i % SYMBOLS.length])
      const quiet = Float64Array.from({ length: CHUNK }, (_, i) => quietPrice(i))
      let top = 180
      const perSecond = (next) => async () => {
        const begin = performance.now()
        for (let i = 0; i < ticks; i += CHUNK) {
          if ((await tracker.onPrices(pairs, next())).length > 0) throw new Error('a price closed a signal that it should not')
        }
        return (ticks / (performance.now() - begin)) * 1000
      }
      const rise = () => Float64Array.from(pairs, () => (top += 1e-7))
      const figures = await alternate(rounds, { quiet: perSecond(() => quiet), rising: perSecond(rise) })
      const mix = 'a fifth pending, a fifth with four targets, a fifth trailing'
      return [
        { what: `\`onPrices\`, ${open} open, ${mix}, no hit, ${CHUNK} a call`, unit: 'prices/s', ours: figures.quiet, target: 1_000_000 },
        { what: 'the same, each price a new high', unit: 'prices/s', ours: figures.rising, target: 1_000_000 },
      ]
    } finally {
      await loop.close()
    }
  })
}

/** Rising prices, each of which hits the targets of some signals. */
export async function hits({ folder, rounds, closings }) {
  const EACH = 100
  return inFolder(folder, async (home) => {
    const loops = Object.fromEntries(
      ['os', 'fsync'].map((durability) => {
        const loop = new SignalLoop({ home: `${home}/${durability}` })
        loop.configure({ durability })
        return [durability, { loop, round: 0 }]
      }),
    )
    const closing = (state) => async () => {
      const { feedbackTracker: tracker } = state.loop
      const round = state.round++
      const batch = signals(round * closings, closings).map((s, i) => ({
        ...s, pair: SYMBOLS[round % SYMBOLS.length], signalType: 'BUY', entryPrice: 100, stopLoss: 50, takeProfit: 101 + i * 0.01,
      }))
      for (let i = 0; i < closings; i += CHUNK) await tracker.recordSignals(batch.slice(i, i + CHUNK))
      let closed = 0
      const begin = performance.now()
      for (let i = EACH; i <= closings; i += EACH) {
        closed += (await tracker.onPrice(batch[0].pair, 101 + i * 0.01 - 0.005)).length
      }
      const seconds = (performance.now() - begin) / 1000
      if (closed !== closings) throw new Error(`${closed} of ${closings} signals closed`)
      return closings / seconds
    }
    try {
      const figures = await alternate(rounds, { os: closing(loops.os), fsync: closing(loops.fsync) })
      const unit = 'closings/s'
      return [
        { what: `awaited \`onPrice\` that closes ${EACH} signals, \`os\``, unit, ours: figures.os },
        { what: `awaited \`onPrice\` that closes ${EACH} signals, \`fsync\``, unit, ours: figures.fsync },
      ]
    } finally {
      for (const { loop } of Object.values(loops)) await loop.close()
    }
  })
}
