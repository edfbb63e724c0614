// Reads a signal from JavaScript. recordSignal, recordSignals, updateOutcome, assess and shouldCloseSignal all use this rule, whether the
// signal is a plain object, an instance of a class, a document of Mongoose or a row of Prisma.
//
// - A signal is read as `JSON.stringify` writes it: `toJSON` is called, also that of the signal itself, and a Date is its ISO 8601 text.
// - A known key may also be inherited, or be a getter of its class.
// - A BigInt is a number. So is a decimal object (decimal.js, Prisma, BSON) in a numeric field.
// - In known keys, values that JSON would hide are replaced by their names, so that native code refuses them: NaN, an infinity, an invalid
//   time, a function. JSON would turn them into null, which for a stop loss means that there is none.
//
// This script is compiled once per environment. Its functions return JSON; or `{ value }`, a plain object, if the text contains half of a
// surrogate pair, which JSON escapes and Rust strings cannot hold; or `{ thrown }`. V8's JSON.stringify is several times faster
// than reading value by value from native code.
(() => {
  const IDS = ['signal_id', 'signalId', 'id']
  const PRICES = ['entry_price', 'entryPrice', 'stop_loss', 'stopLoss', 'take_profit', 'takeProfit']
  const LEVELS = ['signal_type', 'signalType', ...PRICES, 'expires_at', 'expiresAt']
  const ENDS = ['outcome', 'exit_price', 'exitPrice', 'profit_loss_percent', 'profitLossPercent', 'closed_at', 'closedAt']
  const NUMBERS = new Set([...PRICES, 'confidence', ...ENDS.slice(1, 5)])
  const FACTS = [...IDS, 'symbol', 'pair', 'timeframe', 'confidence', 'timestamp', 'strategy', 'taken', 'indicators', 'features', 'said']
  const KEYS = [...FACTS, ...LEVELS, ...ENDS]
  const KNOWN = new Set(KEYS)

  const hasJson = (value) => typeof value.toJSON === 'function'
  const isMap = (value) => Object.prototype.toString.call(value) === '[object Map]'
  /** Text fields. The name of a hidden value is wrapped in an array there, so that it is not taken for a valid text. */
  const TEXTS = new Set([...IDS, 'strategy'])
  const named = (key, name) => (TEXTS.has(key) ? [name] : name)
  /** Larger integers take seconds to convert to text, and are never a valid number of a signal. */
  const LARGEST = 1n << 4096n
  const integer = (value) => {
    if (value >= LARGEST || value <= -LARGEST) throw new RangeError('an integer of more than 4096 bits')
    return Number.isSafeInteger(Number(value)) ? Number(value) : `${value}`
  }

  /** The value of a known key as JSON writes it; a value that JSON would hide is replaced by its name. */
  const known = (key, value) => {
    if (typeof value === 'bigint') return integer(value)
    if (typeof value === 'number') return Number.isFinite(value) ? value : named(key, `${value}`)
    if (typeof value === 'function' || typeof value === 'symbol') return named(key, `a ${typeof value}`)
    if (typeof value !== 'object' || value === null) return value
    if (key === 'indicators' && isMap(value)) return Object.fromEntries(value)
    if (key === 'indicators' || key === 'features') return value
    const json = hasJson(value) ? value.toJSON(key) : value
    // An invalid Date, for example.
    if (json === null || json === undefined) return named(key, `${value}`)
    if (!NUMBERS.has(key)) return json
    const digits = typeof json === 'object' ? (json.$numberDecimal ?? json.valueOf()) : json
    return typeof digits === 'string' && digits.trim() !== '' && Number.isFinite(Number(digits)) ? Number(digits) : digits
  }

  /** The members of an object, read by this rule: all members, or only those in `keys`. */
  const members = (given, keys) => {
    const source = hasJson(given) ? given.toJSON('') : given
    if (typeof source !== 'object' || source === null || Array.isArray(source)) return source
    const result = {}
    const put = (key, value) => Object.defineProperty(result, key, { value, enumerable: true, configurable: true, writable: true })
    for (const key of keys ? [] : Object.keys(source)) put(key, KNOWN.has(key) ? known(key, source[key]) : source[key])
    for (const key of keys ?? KEYS) if (!(Object.hasOwn(result, key)) && source[key] !== undefined) put(key, known(key, source[key]))
    return result
  }

  /** Whether JSON would write the value of a known key differently from this rule. */
  const isOdd = (key, value) => {
    if (typeof value === 'string' || typeof value === 'boolean') return false
    if (typeof value === 'number') return value - value !== 0
    if (typeof value !== 'object') return true
    if (key === 'indicators' || key === 'features') return isMap(value)
    return !(typeof value.getTime === 'function' && value.getTime() >= 0)
  }
  /** Whether JSON.stringify alone gives the same result as this rule, which is true for nearly all signals. */
  const isPlain = (signal) => {
    if (typeof signal !== 'object' || signal === null || hasJson(signal)) return false
    const prototype = Object.getPrototypeOf(signal)
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return false
    for (const key in signal) {
      const value = signal[key]
      if (value !== undefined && value !== null && isOdd(key, value) && KNOWN.has(key)) return false
    }
    return true
  }
  const plain = (signal) =>
    isPlain(signal) || typeof signal !== 'object' || signal === null || Array.isArray(signal) ? signal : members(signal)

  const bigints = (_, value) => (typeof value === 'bigint' ? integer(value) : value)
  const stringify = (value) => {
    try {
      return JSON.stringify(value)
    } catch (error) {
      if (!(error instanceof TypeError && /BigInt/.test(error.message))) throw error
      return JSON.stringify(value, bigints)
    }
  }
  /** The largest number of characters of a signal, twice the limit of its line in the log. */
  const MOST = 2 ** 21
  const text = (value, signals) => {
    const json = stringify(value)
    if (json?.length > MOST * signals) throw new RangeError('longer than a signal may be')
    return json?.includes('\\ud') ? { value: JSON.parse(json) } : json
  }
  /** Returns exceptions of the caller's code as `{ thrown }` instead of throwing them. */
  const told = (read) => (...args) => {
    try {
      return read(...args)
    } catch (error) {
      try {
        return { thrown: `${error}` }
      } catch {
        return { thrown: 'an exception' }
      }
    }
  }

  return [
    /** A signal, or an update of its outcome. */
    told((signal) => text(plain(signal), 1)),
    /** A slice of an array of signals. */
    told((signals, from, to) => text(signals.slice(from, to).map(plain), to - from)),
    /** The fields that decide whether a signal closes. */
    told((signal) => text(members(signal, LEVELS), 1)),
  ]
})()
