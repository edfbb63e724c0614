// How a signal is read from JavaScript: the one rule of recordSignal, recordSignals, updateOutcome, assess and
// shouldCloseSignal, whether the signal is a plain object, an instance of a class, a document of Mongoose or a row of Prisma.
//
// - A signal means what `JSON.stringify` makes of it: `toJSON` is obeyed, its own included, and a Date is its ISO 8601 text.
// - A key that means something here may also be inherited, or a getter of its class, as for the caller's own code.
// - A BigInt is a number. So is a decimal object (decimal.js, Prisma, BSON) where a number is expected.
// - What JSON hides is told by its name where it has a meaning here, so that it is refused: NaN, an infinity, an invalid time, a
//   function. For a stop loss, null would mean that there is none.
//
// It is compiled once an environment. It gives JSON; or `{ value }`, as plain as JSON has it, where a text would say what none in
// Rust can: half of a surrogate pair, which JSON escapes; or `{ thrown }`. The engine's own JSON.stringify is several times faster
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
  /** An id and a strategy are texts: what is none must not become one. */
  const TEXTS = new Set([...IDS, 'strategy'])
  const named = (key, name) => (TEXTS.has(key) ? [name] : name)
  /** An integer of more bits takes seconds to be written down, and is no number of a signal. */
  const LARGEST = 1n << 4096n
  const integer = (value) => {
    if (value >= LARGEST || value <= -LARGEST) throw new RangeError('an integer of more than 4096 bits')
    return Number.isSafeInteger(Number(value)) ? Number(value) : `${value}`
  }

  /** A value under a key that means something, as JSON has it; what JSON hides, by its name. */
  const known = (key, value) => {
    if (typeof value === 'bigint') return integer(value)
    if (typeof value === 'number') return Number.isFinite(value) ? value : named(key, `${value}`)
    if (typeof value === 'function' || typeof value === 'symbol') return named(key, `a ${typeof value}`)
    if (typeof value !== 'object' || value === null) return value
    if (key === 'indicators' && isMap(value)) return Object.fromEntries(value)
    if (key === 'indicators' || key === 'features') return value
    const json = hasJson(value) ? value.toJSON(key) : value
    // As of an invalid Date.
    if (json === null || json === undefined) return named(key, `${value}`)
    if (!NUMBERS.has(key)) return json
    const digits = typeof json === 'object' ? (json.$numberDecimal ?? json.valueOf()) : json
    return typeof digits === 'string' && digits.trim() !== '' && Number.isFinite(Number(digits)) ? Number(digits) : digits
  }

  /** The members of an object as this rule has them; of all that mean something, or of `keys`. */
  const members = (given, keys) => {
    const source = hasJson(given) ? given.toJSON('') : given
    if (typeof source !== 'object' || source === null || Array.isArray(source)) return source
    const result = {}
    const put = (key, value) => Object.defineProperty(result, key, { value, enumerable: true, configurable: true, writable: true })
    for (const key of keys ? [] : Object.keys(source)) put(key, KNOWN.has(key) ? known(key, source[key]) : source[key])
    for (const key of keys ?? KEYS) if (!(Object.hasOwn(result, key)) && source[key] !== undefined) put(key, known(key, source[key]))
    return result
  }

  /** Does JSON say something else of a value under a key that means something? */
  const isOdd = (key, value) => {
    if (typeof value === 'string' || typeof value === 'boolean') return false
    if (typeof value === 'number') return value - value !== 0
    if (typeof value !== 'object') return true
    if (key === 'indicators' || key === 'features') return isMap(value)
    return !(typeof value.getTime === 'function' && value.getTime() >= 0)
  }
  /** Nearly all signals are: JSON says of them what this rule does. */
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
  /** Characters of one signal, twice what its line may have. */
  const MOST = 2 ** 21
  const text = (value, signals) => {
    const json = stringify(value)
    if (json?.length > MOST * signals) throw new RangeError('longer than a signal may be')
    return json?.includes('\\ud') ? { value: JSON.parse(json) } : json
  }
  /** What the caller's own code throws is told, not thrown. */
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
    /** Some of an array of signals. */
    told((signals, from, to) => text(signals.slice(from, to).map(plain), to - from)),
    /** What decides whether a signal closes. */
    told((signal) => text(members(signal, LEVELS), 1)),
  ]
})()
