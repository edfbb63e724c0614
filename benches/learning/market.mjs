// A planted market: signals whose success hangs on rules that only this file knows, so that the best possible is known too.
// The same seed gives the same market, on every machine and in every variant: variants differ in the rules alone.

export const DAYS = 91
export const SIGNALS_A_DAY = 10
/** The first day (from 0) on which the rules of the variant `flip` are turned round: the start of week 8. */
export const FLIP_DAY = 49
export const BASE_RATE = 0.6
export const SYMBOLS = ['ADA', 'AVAX', 'BNB', 'BTC', 'DOGE', 'DOT', 'ETH', 'LINK', 'SOL', 'XRP'].map((coin) => `${coin}USDT`)
export const TIMEFRAMES = ['1h', '4h']

/** The symbol whose BUYs and SELLs succeed against MACD, not with it. */
const CONTRARY = 'BTCUSDT'
const BUY_SHARE = 0.8
const MISSING = 0.06

/** Whether the rules hold (1), hold turned round (-1) or do not exist (0). */
const VARIANTS = {
  steady: () => 1,
  flip: (day) => (day < FLIP_DAY ? 1 : -1),
  none: () => 0,
}

/** Numbers in [0, 1): sfc32 (Chris Doty-Humphrey, PractRand), started from a seed and the number of a stream. */
export function generator(seed, stream) {
  let [a, b, c, count] = [seed | 0, stream | 0, 0x9e3779b9, 1]
  const next = () => {
    const sum = (a + b + count) | 0
    count = (count + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return (sum >>> 0) / 4_294_967_296
  }
  for (let i = 0; i < 15; i++) next()
  return next
}

const normal = (next) => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
const clip = (x, low, high) => Math.min(high, Math.max(low, x))

/** Beta(2, 3): the second smallest of four uniform numbers. */
const beta23 = (next) => [next(), next(), next(), next()].sort((a, b) => a - b)[1]

/** All indicators of a bar. The rules ask for the first four; the others, some of them kin of `rsi`, say nothing further. */
function indicators(next) {
  const rsi = clip(50 + 16 * normal(next), 0, 100)
  return {
    rsi,
    macd: 3 * normal(next) + 0.03 * (rsi - 50),
    volumeRatio: Math.exp(0.5 * normal(next)),
    adx: 10 + 30 * beta23(next),
    atrPercent: 1.5 * Math.exp(0.4 * normal(next)),
    bbWidth: 3 * Math.exp(0.5 * normal(next)),
    emaDistance: 0.05 * (rsi - 50) + normal(next),
    stochastic: clip(rsi + 20 * normal(next), 0, 100),
    obvSlope: normal(next),
    fundingRate: 0.01 * normal(next),
    spread: Math.exp(normal(next)),
    noise: next(),
  }
}

const among = (next, values) => values[Math.floor(next() * values.length)]

/** A signal as the backend sees it: `direction` is 1 for a BUY and -1 for a SELL, some indicators are missing. */
function situation(next) {
  const symbol = among(next, SYMBOLS)
  const timeframe = among(next, TIMEFRAMES)
  const direction = next() < BUY_SHARE ? 1 : -1
  const known = Object.entries(indicators(next)).filter(() => next() >= MISSING)
  return { symbol, timeframe, direction, indicators: Object.fromEntries(known) }
}

/**
 * The hidden rules: what they add to the logit of success. Comparisons with a missing indicator (`undefined`) are false, so
 * a rule that asks for one does not apply: what the oracle knows can be learned from what the backend sees.
 */
function rules({ symbol, direction, indicators: { rsi, macd, volumeRatio, adx } }) {
  const overbought = direction > 0 ? rsi > 65 : rsi < 35
  const against = macd * direction < 0
  const along = macd * direction >= 0
  const confirmed = volumeRatio > 1.2
  return (
    (overbought ? -2.5 : 0) +
    (against ? -2.0 : 0) +
    (confirmed ? 2.5 : 0) +
    (against && symbol === CONTRARY ? 3.6 : 0) +
    (adx > 25 && along ? 0.8 : 0) +
    (confirmed && overbought ? -0.5 : 0)
  )
}

const logistic = (x) => 1 / (1 + Math.exp(-x))

const intercepts = new Map()

/** The constant that makes the mean probability of success `BASE_RATE`, by bisection on one large sample. */
function intercept(sign) {
  if (!intercepts.has(sign)) {
    const next = generator(0, 0)
    const logits = Array.from({ length: 100_000 }, () => sign * rules(situation(next)))
    let [low, high] = [-10, 10]
    while (high - low > 1e-6) {
      const middle = (low + high) / 2
      const mean = logits.reduce((sum, logit) => sum + logistic(logit + middle), 0) / logits.length
      if (mean < BASE_RATE) low = middle
      else high = middle
    }
    intercepts.set(sign, (low + high) / 2)
  }
  return intercepts.get(sign)
}

const judged = (situation, sign, luck) => {
  const probability = logistic(sign * rules(situation) + intercept(sign))
  return { ...situation, probability, success: luck < probability }
}

/**
 * The market of a seed. `signals` are the thirteen weeks in order, each with its `day`, the true `probability` of success
 * and whether it came to a `success`; `fresh(day, count)` are signals that the market might have given on that day besides,
 * for judging what was learned until then; they are the same for every day but for the rules.
 */
export function market(seed, variant) {
  const sign = VARIANTS[variant]
  const next = generator(seed, 1)
  const signals = Array.from({ length: DAYS * SIGNALS_A_DAY }, (_, i) => {
    const day = Math.floor(i / SIGNALS_A_DAY)
    return { day, ...judged(situation(next), sign(day), next()) }
  })
  return {
    signals,
    fresh(day, count) {
      const next = generator(seed, 2)
      return Array.from({ length: count }, () => judged(situation(next), sign(day), next()))
    },
  }
}
