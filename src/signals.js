// Reads a signal, or a change of one, from JavaScript. recordSignal, recordSignals, updateOutcome, amendSignal, cancelSignal, assess and
// shouldCloseSignal all use this rule, whether the signal is a plain object, an instance of a class, a document of Mongoose or a row of
// Prisma.
//
// - A signal is read as `JSON.stringify` writes it: `toJSON` is called, also that of the signal itself, and a Date is its ISO 8601 text.
// - A known key may also be inherited, or be a getter of its class.
// - A BigInt is a number. So is a decimal object (decimal.js, Prisma, BSON) in a numeric field.
// - In known keys, values that JSON would hide are replaced by their names, so that native code refuses them: NaN, an infinity, an invalid
//   time, a function. JSON would turn them into null, which for a stop loss means that there is none.
// - The same holds within targets, an entry zone and stop rules. Of an object there that is an instance of a class, only known keys are
//   read; of others, `id` and `_id`, which rows and documents of a database have, are left out.
//
// This script is compiled once per environment. Its functions return JSON; or `{ value }`, a plain object, if the text contains half of a
// surrogate pair, which JSON escapes and Rust strings cannot hold; or `{ thrown }`. V8's JSON.stringify is several times faster
// than reading value by value from native code.
(() => {
  const IDS = ['signal_id', 'signalId', 'id']
  const PRICES = ['entry_price', 'entryPrice', 'stop_loss', 'stopLoss', 'take_profit', 'takeProfit']
  const NESTED = ['entry_zone', 'entryZone', 'take_profits', 'takeProfits', 'stop_rules', 'stopRules']
  const ENTRY = ['entry_type', 'entryType', 'entry_expires_at', 'entryExpiresAt']
  const LEVELS = ['signal_type', 'signalType', ...PRICES, 'expires_at', 'expiresAt', ...ENTRY, ...NESTED]
  const ENDS = ['outcome', 'exit_price', 'exitPrice', 'profit_loss_percent', 'profitLossPercent', 'closed_at', 'closedAt']
  const POSITION = ['leverage', 'fee_bps', 'feeBps', 'funding_bps_per_day', 'fundingBpsPerDay', 'quantity']
  const NUMBERS = new Set([...PRICES, ...POSITION, 'confidence', ...ENDS.slice(1, 5), 'share'])
  const NAMES = ['symbol', 'pair', 'timeframe', 'timestamp', 'strategy', 'source', 'tags', 'taken']
  const FACTS = [...IDS, ...NAMES, 'confidence', ...POSITION, 'indicators', 'features', 'said']
  /** The keys of a signal, and those of a change of one. */
  const SIGNAL = new Set([...FACTS, ...LEVELS, ...ENDS])
  const CHANGE = new Set([
    ...IDS, ...ENDS, 'share', 'stop_loss', 'stopLoss', 'take_profits', 'takeProfits', 'expires_at', 'expiresAt', 'at', 'reason', 'replaced_by',
    'replacedBy',
  ])
  /** The keys within nested values. */
  const RULES = ['breakEvenAfterTarget', 'break_even_after_target', 'breakEvenCostsPercent', 'break_even_costs_percent', 'trail', 'moveTo', 'move_to']
  const INNER = ['low', 'high', 'price', 'share', ...RULES, 'percent', 'atr', 'distance', 'activateAtR', 'activate_at_r', 'afterTarget', 'after_target']
  const DEEP = new Set(NESTED)

  const hasJson = (value) => typeof value.toJSON === 'function'
  const isMap = (value) => Object.prototype.toString.call(value) === '[object Map]'
  /** Text fields. The name of a hidden value is wrapped in an array there, so that it is not taken for a valid text. */
  const TEXTS = new Set([...IDS, 'strategy', 'source', 'reason', 'replaced_by', 'replacedBy'])
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
    if (DEEP.has(key)) return nested(value, 4)
    if (key === 'tags' && Array.isArray(value)) return each(value, (tag) => (typeof tag === 'string' ? tag : [known('id', tag)]))
    const json = hasJson(value) ? value.toJSON(key) : value
    // An invalid Date, for example.
    if (json === null || json === undefined) return named(key, `${value}`)
    return NUMBERS.has(key) ? number(json) : json
  }

  /** The number of a decimal object that `toJSON` has made text, or of an object of extended JSON; any other value stays as it is. */
  const number = (json) => {
    const digits = typeof json === 'object' ? (json.$numberDecimal ?? json.valueOf()) : json
    return typeof digits === 'string' && digits.trim() !== '' && Number.isFinite(Number(digits)) ? Number(digits) : digits
  }

  /** No list within a signal may be as long as this; a sparse array may claim billions of values. */
  const LONGEST = 1000
  const each = (list, read) => {
    if (list.length > LONGEST) throw new RangeError(`a list of ${list.length} values`)
    return Array.from(list, read)
  }

  /** Targets, an entry zone or stop rules as JSON writes them, down to `levels` objects in each other. */
  const nested = (value, levels) => {
    if (typeof value !== 'object' || value === null) return known('price', value)
    const json = hasJson(value) ? value.toJSON('') : value
    // An invalid Date, for example.
    if (json === null || json === undefined) return `${value}`
    if (typeof json !== 'object') return number(json)
    if ('$numberDecimal' in json || (typeof json.valueOf === 'function' && typeof json.valueOf() !== 'object')) return number(json)
    if (levels === 0) return json
    if (Array.isArray(json)) return each(json, (item) => nested(item, levels - 1))
    const prototype = Object.getPrototypeOf(json)
    const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null
    const keys = (isPlain ? Object.keys(json) : INNER).filter((key) => key !== 'id' && key !== '_id' && json[key] !== undefined)
    return Object.fromEntries(keys.map((key) => [key, nested(json[key], levels - 1)]))
  }

  /** The members of an object, read by this rule: those in `keys` and, if `all`, its own others. */
  const members = (given, keys, all = true) => {
    const source = hasJson(given) ? given.toJSON('') : given
    if (typeof source !== 'object' || source === null || Array.isArray(source)) return source
    const result = {}
    const put = (key, value) => Object.defineProperty(result, key, { value, enumerable: true, configurable: true, writable: true })
    for (const key of all ? Object.keys(source) : []) put(key, keys.has(key) ? known(key, source[key]) : source[key])
    for (const key of keys) if (!(Object.hasOwn(result, key)) && source[key] !== undefined) put(key, known(key, source[key]))
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
  const isPlain = (signal, keys) => {
    if (typeof signal !== 'object' || signal === null || hasJson(signal)) return false
    const prototype = Object.getPrototypeOf(signal)
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return false
    for (const key in signal) {
      const value = signal[key]
      if (value !== undefined && value !== null && isOdd(key, value) && keys.has(key)) return false
    }
    return true
  }
  const plain = (signal, keys = SIGNAL) =>
    isPlain(signal, keys) || typeof signal !== 'object' || signal === null || Array.isArray(signal) ? signal : members(signal, keys)

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
    /** A signal. */
    told((signal) => text(plain(signal), 1)),
    /** A slice of an array of signals. */
    told((signals, from, to) => text(signals.slice(from, to).map((signal) => plain(signal)), to - from)),
    /** The fields that decide whether a signal closes. */
    told((signal) => text(members(signal, LEVELS, false), 1)),
    /** The end of a signal, an amendment or a cancellation. */
    told((change) => text(plain(change, CHANGE), 1)),
  ]
})()
