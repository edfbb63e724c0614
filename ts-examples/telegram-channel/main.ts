/**
 * A channel of signals: its messages are read, followed by prices, learned from and scored.
 *
 *     npx tsx telegram-channel/main.ts
 *
 * Messages and prices are simulated. In a backend, messages come from a bot, and prices from its price stream or from the scheduler's `watch`.
 */
import { SignalLoop, type ClosedSignal, type SignalEvent } from 'signalloop'
import { signalOf } from './message'

// A separate home, because the backend's models must not learn from simulated outcomes.
const loop = new SignalLoop({ home: process.env.SIGNALLOOP_HOME ?? 'ml/channel-example' })
const { feedbackTracker } = loop

const HOUR = 3_600_000
const MESSAGES = 80
/** Hours from one message to the next. */
const STEP = 84

let state = 7
/** The same numbers in each run, from -1 to 1, mostly near 0. */
const noise = () => {
  let sum = 0
  for (let i = 0; i < 6; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    sum += state / 2 ** 31 - 1
  }
  return sum / 6
}

const written = (price: number) => price.toFixed(2)

/** What the channel posts at this price. */
const post = (price: number, tag: string) => `
  #BTC/USDT LONG
  Entry: ${written(price * 0.994)} - ${written(price * 0.998)}
  Targets: ${[1.012, 1.024, 1.04].map((factor) => written(price * factor)).join(' / ')}
  Stop: ${written(price * 0.978)}
  Leverage: 5x
  #${tag}`

const inWords = (event: SignalEvent): string => {
  switch (event.type) {
    case 'filled': return `entered at ${written(event.price)}`
    case 'target': return `target ${event.number} at ${written(event.price)}`
    case 'stop': return `stop to ${written(event.price)}`
    case 'exit': return `the rest at ${written(event.price)} (${event.cause.toLowerCase()})`
    case 'cancelled': return `cancelled: ${event.cause}`
    default: return event.type
  }
}

async function main(): Promise<void> {
  let [price, time] = [100, Date.parse('2025-01-06T00:00Z')]
  const closed: ClosedSignal[] = []
  const ids: string[] = []
  for (let number = 1; number <= MESSAGES; number++) {
    const tag = number % 2 === 0 ? 'breakout' : 'news'
    const signal = signalOf(post(price, tag), { id: `${number}`, source: 'whales', timestamp: new Date(time) })
    // What was learned so far is stored with the signal; the scorecard compares it with what comes.
    await feedbackTracker.assess(signal)
    await feedbackTracker.recordSignal({ ...signal, expiresAt: time + STEP * HOUR, entryExpiresAt: time + 24 * HOUR })
    ids.push(signal.id)

    const [prices, times] = [new Float64Array(STEP), new Float64Array(STEP)]
    for (let hour = 0; hour < STEP; hour++) {
      // In this market the channel is right about breakouts, and wrong about news.
      price *= 1 + 0.012 * noise() + (tag === 'breakout' ? 0.0004 : -0.0003)
      time += HOUR
      prices[hour] = price
      times[hour] = time
    }
    closed.push(...(await feedbackTracker.onPrices(Array<string>(STEP).fill('BTC/USDT'), prices, times)))
  }

  for (const id of ids.slice(0, 4)) {
    const { history, closed } = (await feedbackTracker.getSignal(id))!
    const result = closed?.realizedR === undefined ? '' : `: ${closed.realizedR.toFixed(2)} R, ${closed.netMarginPercent!.toFixed(1)} % of the margin`
    console.log(`${id} ${history.map(inWords).join(', ')}${result}`)
  }
  const all = await Promise.all(ids.map((id) => feedbackTracker.getSignal(id)))
  const never = all.filter((signal) => signal?.status === 'CANCELLED').length
  console.log(`${ids.length} messages: ${closed.length} closed, ${never} never entered`)
  for (const tag of ['breakout', 'news']) {
    const results = closed.filter(({ strategy }) => strategy === tag).map(({ realizedR }) => realizedR ?? 0)
    const next = signalOf(post(price, tag), { id: 'next', source: 'whales', timestamp: new Date(time) })
    const { take, successProbability } = await feedbackTracker.assess(next)
    const mean = results.reduce((sum, r) => sum + r, 0) / results.length
    console.log(`${tag}: ${mean.toFixed(2)} R a signal; the next: ${take ? 'take' : 'leave'}, ${(100 * successProbability).toFixed(0)} %`)
  }
  console.log((await feedbackTracker.scorecard()).verdict)
  await loop.close()
}

void main()
