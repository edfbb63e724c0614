import type { SignalInput } from 'signalloop'

/** Where a message was read, and when. */
export interface Received {
  /** The channel's number of the message. */
  id: string
  /** The name of the channel. */
  source: string
  /** When it was posted. */
  timestamp: Date
}

const PRICE = '(\\d+(?:\\.\\d+)?)'
const LINES = {
  head: /^#?([A-Z0-9]+)\/?(USDT|USDC|USD)\s+(LONG|SHORT)$/i,
  entry: new RegExp(`^Entry:\\s*${PRICE}(?:\\s*-\\s*${PRICE})?$`, 'i'),
  targets: new RegExp(`^Targets?:\\s*(${PRICE}(?:\\s*/\\s*${PRICE})*)$`, 'i'),
  stop: new RegExp(`^Stop(?:-?loss)?:\\s*${PRICE}$`, 'i'),
  leverage: /^Leverage:\s*(\d+(?:\.\d+)?)x$/i,
  tag: /^#([a-z][\w-]*)$/,
}

/**
 * The signal of a message such as
 *
 *     #BTC/USDT LONG
 *     Entry: 94 - 96
 *     Targets: 101 / 107 / 113
 *     Stop: 90
 *     Leverage: 10x
 *     #breakout
 *
 * Entry and targets are limit orders with equal parts; after the first target the stop moves to the entry.
 *
 * @throws an `Error` that names the line, or what is missing: a number that was guessed would be traded.
 */
export function signalOf(text: string, { id, source, timestamp }: Received): SignalInput {
  const found = new Map<keyof typeof LINES, RegExpExecArray>()
  for (const [number, line] of text.split('\n').map((line) => line.trim()).entries()) {
    if (line === '') continue
    const kind = (Object.keys(LINES) as (keyof typeof LINES)[]).find((name) => LINES[name].test(line))
    if (!kind || found.has(kind)) throw new Error(`${kind ? `a second ${kind}` : 'a line that is not understood'} in line ${number + 1}: ${line}`)
    found.set(kind, LINES[kind].exec(line)!)
  }
  const part = (kind: keyof typeof LINES) => {
    const match = found.get(kind)
    if (!match) throw new Error(`the message has no ${kind}`)
    return match
  }
  const [, base, quote, side] = part('head')
  const [, first, second] = part('entry')
  const prices = [first, second].filter((price) => price !== undefined).map(Number)
  const leverage = found.get('leverage')?.[1]
  const tag = found.get('tag')?.[1]
  return {
    id: `${source}-${id}`,
    pair: `${base}/${quote}`.toUpperCase(),
    signalType: side!.toUpperCase() === 'LONG' ? 'BUY' : 'SELL',
    confidence: 50,
    timestamp,
    ...(prices.length === 2 ? { entryZone: { low: Math.min(...prices), high: Math.max(...prices) } } : { entryType: 'limit' as const, entryPrice: prices[0]! }),
    stopLoss: Number(part('stop')[1]),
    takeProfits: part('targets')[1]!.split('/').map((price) => ({ price: Number(price) })),
    stopRules: { breakEvenAfterTarget: 1 },
    leverage: leverage === undefined ? null : Number(leverage),
    source,
    strategy: tag ?? null,
  }
}
