// The signals that are measured with: ten symbols, as a backend gives them.
export const SYMBOLS = ['BTC', 'ETH', 'BNB', 'SOL', 'ADA', 'XRP', 'DOGE', 'DOT', 'AVAX', 'LINK'].map((coin) => `${coin}USDT`)
const BEGIN = Date.UTC(2024, 0, 1)
const MINUTE = 60_000

/** The n-th signal: entries from 100 to 200, stops and targets out of reach of prices in between. */
export function signal(n) {
  const entryPrice = 100 + (n % 9973) / 100
  const buy = n % 3 !== 0
  return {
    id: `sig-${n.toString().padStart(9, '0')}-b7e2`,
    pair: SYMBOLS[n % SYMBOLS.length],
    timeframe: '1h',
    signalType: buy ? 'BUY' : 'SELL',
    confidence: 71.5,
    entryPrice,
    stopLoss: entryPrice * (buy ? 0.5 : 2),
    takeProfit: entryPrice * (buy ? 2 : 0.5),
    timestamp: new Date(BEGIN + (n % 500_000) * MINUTE).toISOString(),
    indicators: { rsi: 61.25, macd: 0.0021, atr: 1.75, volumeRatio: 1.13 },
  }
}

/** The n-th signal of all kinds: a fifth waits for its entry, a fifth has four targets, a fifth a stop that trails. */
export function mixed(n) {
  const plain = signal(n)
  const { entryPrice, signalType } = plain
  const buy = signalType === 'BUY'
  switch (Math.floor(n / SYMBOLS.length) % 5) {
    case 0:
      return buy
        ? { ...plain, entryType: 'limit', entryPrice: entryPrice * 0.55, stopLoss: entryPrice * 0.4 }
        : { ...plain, entryType: 'limit', entryPrice: entryPrice * 1.9, stopLoss: entryPrice * 2.5 }
    case 1: {
      const takeProfits = [0, 1, 2, 3].map((i) => ({ price: entryPrice * (buy ? 2 + i * 0.2 : 0.5 - i * 0.05) }))
      return { ...plain, takeProfit: undefined, takeProfits, stopRules: { breakEvenAfterTarget: 1 } }
    }
    case 2:
      return { ...plain, stopRules: { trail: { percent: buy ? 60 - (n % 20) : 90 + (n % 9) } } }
    default:
      return plain
  }
}

/** A price at which no signal closes. */
export const quietPrice = (n) => 120 + (n % 597) / 10

/** How many signals a bulk call has. */
export const CHUNK = 10_000

/** How many of `count` signals from the `first` on `record` takes a second, a chunk a call. */
export async function recordedPerSecond(first, count, record) {
  const chunks = Array.from({ length: count / CHUNK }, (_, i) => signals(first + i * CHUNK, CHUNK))
  const begin = performance.now()
  for (const chunk of chunks) await record(chunk)
  return (count / (performance.now() - begin)) * 1000
}

/** `count` signals from the `first` on. */
export const signals = (first, count, of = signal) => Array.from({ length: count }, (_, i) => of(first + i))
