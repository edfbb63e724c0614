'use strict'

// shouldCloseSignal. It runs on every price, and reading an object from native code, or making one there, takes longer than deciding. So what
// decides is written as numbers into one array, in which native code leaves its answer. A signal that does not fit, because something of it is
// wrong or spelled otherwise, is read by native code itself, which says what is wrong.
//
// The places are those of crates/domain/src/signal/numbers.rs (the question) and src/decision.rs (the answer). NaN is a missing number.

const ENTRY_KINDS = ['market', 'limit', 'stop']
const TRAILS = ['percent', 'atr', 'distance']
const MOST_TARGETS = 16
const PAIRS = 16
const PRICE = PAIRS + 4 * MOST_TARGETS
const FIRST_EVENT = 8
const EVENT_NUMBERS = 6

const ZONE = new Set(['low', 'high'])
const TARGET = new Set(['price', 'share'])
const RULES = new Set(['breakEvenAfterTarget', 'breakEvenCostsPercent', 'trail', 'moveTo'])
const TRAIL = new Set([...TRAILS, 'activateAtR'])
const STEP = new Set(['afterTarget', 'price'])

/** Keys of a signal with which native code reads it: its own way of becoming JSON, and other spellings, of which it knows which counts. */
const OTHERS = new Set([
  'toJSON', 'signal_type', 'entry_price', 'stop_loss', 'take_profit', 'expires_at', 'entry_type', 'entry_zone', 'entry_expires_at', 'take_profits',
  'stop_rules',
])
const KEYS = [
  'signalType', 'entryPrice', 'stopLoss', 'takeProfit', 'expiresAt', 'entryType', 'entryZone', 'entryExpiresAt', 'takeProfits', 'stopRules', ...OTHERS,
]

/** The members of an instance of a class, whose getters no loop over its keys finds. */
const members = (instance) => {
  const found = {}
  for (const key of KEYS) if (instance[key] != null) found[key] = instance[key]
  return found
}

/** A time in UTC that native code reads alike, but for the number of days of its month. */
const UTC = /^\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{3})?Z$/

/** Whether it is no instance of a class. */
const isPlain = (object) => {
  const prototype = Object.getPrototypeOf(object)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Whether it is a plain object without other keys than these. */
const hasOnly = (keys, object) => {
  if (typeof object !== 'object' || object === null || !isPlain(object)) return false
  for (const key in object) if (!keys.has(key)) return false
  return true
}

/** Whether it is an ordinary array that is not too long. */
const isList = (value) => Array.isArray(value) && value.length <= MOST_TARGETS && value.toJSON === undefined

module.exports = (native) => {
  const numbers = new Float64Array(native.decisionNumbers())
  const words = native.decisionWords()
  /** Counts the questions: a getter of a signal may ask another one before the first is written. */
  let asked = 0

  /** Writes a number, or that it is missing; `false` if it is anything else. */
  const put = (place, value) => {
    if (typeof value === 'number') {
      numbers[place] = value
      // Only a missing number may be NaN.
      return !Number.isNaN(value)
    }
    numbers[place] = NaN
    return value === undefined || value === null
  }

  const putTime = (place, value) => {
    if (typeof value === 'string') {
      if (!UTC.test(value)) return false
      const time = new Date(value)
      return time.getUTCDate() === Number(value.slice(8, 10)) && put(place, time.getTime())
    }
    if (typeof value !== 'object' || value === null) return put(place, value)
    return Object.getPrototypeOf(value) === Date.prototype && put(place, value.getTime())
  }

  const putZone = (zone) => {
    if (zone === undefined || zone === null) return put(6) && put(7)
    return hasOnly(ZONE, zone) && put(6, zone.low) && put(7, zone.high)
  }

  const putTargets = (targets) => {
    if (targets === undefined || targets === null) return put(9)
    if (!isList(targets)) return false
    for (let i = 0; i < targets.length; i++) {
      const target = targets[i]
      if (!hasOnly(TARGET, target) || !put(PAIRS + 2 * i, target.price) || !put(PAIRS + 2 * i + 1, target.share)) return false
    }
    return put(9, targets.length)
  }

  const putTrail = (trail) => {
    if (trail === undefined || trail === null) return put(13)
    if (!hasOnly(TRAIL, trail)) return false
    const kind = TRAILS.findIndex((name) => trail[name] !== undefined && trail[name] !== null)
    const other = TRAILS.findLastIndex((name) => trail[name] !== undefined && trail[name] !== null)
    return kind >= 0 && kind === other && put(13, kind) && put(14, trail[TRAILS[kind]]) && put(15, trail.activateAtR)
  }

  const putRules = (rules, from) => {
    if (rules === undefined || rules === null) return put(10)
    if (!hasOnly(RULES, rules) || !putTrail(rules.trail)) return false
    if (!put(11, rules.breakEvenAfterTarget) || !put(12, rules.breakEvenCostsPercent)) return false
    const steps = rules.moveTo
    if (steps === undefined || steps === null) return put(10, 0)
    if (!isList(steps)) return false
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i]
      if (!hasOnly(STEP, step) || !put(from + 2 * i, step.afterTarget) || !put(from + 2 * i + 1, step.price)) return false
    }
    return put(10, steps.length)
  }

  const putEntry = (type) => {
    if (type === undefined || type === null) return put(5)
    const kind = ENTRY_KINDS.indexOf(type)
    return kind >= 0 && put(5, kind)
  }

  /** Writes a signal; `false` if it does not fit. */
  const putSignal = (signal) => {
    const plain = isPlain(signal) ? signal : members(signal)
    let type, entry, stop, target, expires, entryType, zone, entryExpires, targets, rules
    // In a loop over its keys, reading a value costs the same whatever the shape of the object. As in JSON, only enumerable ones count.
    for (const key in plain) {
      const value = plain[key]
      switch (key) {
        case 'signalType': type = value; break
        case 'entryPrice': entry = value; break
        case 'stopLoss': stop = value; break
        case 'takeProfit': target = value; break
        case 'expiresAt': expires = value; break
        case 'entryType': entryType = value; break
        case 'entryZone': zone = value; break
        case 'entryExpiresAt': entryExpires = value; break
        case 'takeProfits': targets = value; break
        case 'stopRules': rules = value; break
        default: if (value != null && OTHERS.has(key)) return false
      }
    }
    return (
      (type === 'BUY' || type === 'SELL') && put(0, type === 'BUY' ? 1 : 0) &&
      put(1, entry) && put(2, stop) && put(3, target) && putTime(4, expires) &&
      putEntry(entryType) && putZone(zone) && putTime(8, entryExpires) && putTargets(targets) &&
      putRules(rules, PAIRS + 2 * (targets?.length ?? 0))
    )
  }

  const event = (from) => {
    const told = { type: words[numbers[from]] }
    const [number, price, share, cause] = [numbers[from + 1], numbers[from + 2], numbers[from + 3], numbers[from + 4]]
    if (!Number.isNaN(number)) told.number = number
    if (!Number.isNaN(price)) told.price = price
    if (!Number.isNaN(share)) told.share = share
    if (!Number.isNaN(cause)) told[told.type === 'filled' ? 'edge' : 'cause'] = words[cause]
    told.at = new Date(numbers[from + 5]).toISOString()
    return told
  }

  /** Reads the answer. */
  const answer = () => {
    const shouldClose = numbers[0] === 1
    const outcome = words[numbers[1]]
    const profitLoss = numbers[2]
    const status = words[numbers[3]]
    if (status === undefined) return { shouldClose, outcome, profitLoss }
    const unknown = []
    for (let i = 4; i < 7 && !Number.isNaN(numbers[i]); i++) unknown.push(words[numbers[i]])
    const events = []
    for (let i = 0; i < numbers[7]; i++) events.push(event(FIRST_EVENT + EVENT_NUMBERS * i))
    return { shouldClose, outcome, profitLoss, status, events, unknown }
  }

  return (signal, currentPrice) => {
    if (typeof currentPrice === 'number' && typeof signal === 'object' && signal !== null) {
      const question = ++asked
      let fits = false
      try {
        fits = putSignal(signal)
      } catch {
        // A getter threw: native code reads the signal again and reports it.
      }
      numbers[PRICE] = currentPrice
      if (fits && question === asked && native.shouldCloseNumbers(numbers)) return answer()
    }
    return native.shouldCloseSignal(signal, currentPrice)
  }
}
