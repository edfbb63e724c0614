// Lives of signals. The price of each coin walks up or down by one step, without drift; coins share some of their steps. A signal
// that is to succeed with probability p lies p of the way from its stop to its target, so the walk decides with just this
// probability, and lives that overlap in time or go on beside each other are decided by the same steps.

/** Steps between stop and target. */
export const WIDTH = 64
/** Steps of a life on the average, where both ends are as near: distance to the stop times distance to the target. */
const LIFE = (WIDTH / 2) ** 2
/** A trailed stop moves to a quarter of the way to the target, once half of it is done. */
const halfWay = (up) => Math.ceil(up / 2)
const quarter = (up) => Math.floor(up / 4)

/**
 * Signals with two targets: the first lies half-way to the last and closes half of the position. Then the stop moves to the entry; in a
 * world of `trail`, it follows the best price from there on, half the way to the last target behind it.
 */
export const FIRST_SHARE = 50
/** R of the first target. */
export const firstTarget = (rewardRisk) => rewardRisk / 2

/**
 * Steps to the stop of a signal that is to succeed with about this probability. `multiple` is 2 where half of the way to the target must be
 * a whole number of steps: if it were rounded, the first target would tell how far the stop is in steps, which is the hidden probability.
 */
export const down = (probability, multiple = 1) =>
  multiple * Math.min(WIDTH / multiple - 1, Math.max(1, Math.round((WIDTH / multiple) * probability)))

/** R of a position: straight lines from the stop (−1) over the entry (0) to the target. */
const value = (at, low, rewardRisk) => (at < 0 ? at / low : (rewardRisk * at) / (WIDTH - low))

/** By the positions after every step: `{ success, r }`, the probability of success and the mean R before costs. */
function expiring(low, rewardRisk, steps) {
  const high = WIDTH - low
  let [mass, success, r] = [new Float64Array(WIDTH + 1), 0, 0]
  mass[low] = 1
  for (let step = 0; step < steps; step++) {
    const moved = new Float64Array(WIDTH + 1)
    for (let at = 1; at < WIDTH; at++) {
      moved[at - 1] += mass[at] / 2
      moved[at + 1] += mass[at] / 2
    }
    success += moved[WIDTH]
    r += moved[WIDTH] * rewardRisk - moved[0]
    moved[0] = moved[WIDTH] = 0
    mass = moved
  }
  for (let at = 1; at < WIDTH; at++) {
    if (at > low) success += mass[at]
    r += mass[at] * value(at - low, low, rewardRisk)
  }
  return { success, r, high }
}

/** With two targets: a signal that reaches the first ends with a profit, whatever becomes of its rest. */
function parted(low, rewardRisk, trail) {
  const high = WIDTH - low
  const half = halfWay(high)
  const reaches = low / (low + half)
  let rest = (half / high) * rewardRisk
  if (trail) {
    // From each best price, the next one comes before the stop with this probability.
    const goesOn = half / (half + 1)
    rest = goesOn ** (high - half) * rewardRisk
    for (let best = half; best < high; best++) rest += goesOn ** (best - half) * (1 - goesOn) * value(best - half, low, rewardRisk)
  }
  const first = FIRST_SHARE / 100
  return { success: reaches, r: reaches * (first * firstTarget(rewardRisk) + (1 - first) * rest) - (1 - reaches) }
}

/** What is true of signals: their probability of success and mean R before costs, by how far their stop is. */
export function truths({ expirySteps, trailing, targets }) {
  if ([expirySteps, trailing, targets].filter(Boolean).length > 1) throw new Error('a world has an expiry, trailed stops or several targets')
  const known = new Map()
  const found = (low, rewardRisk) => {
    if (expirySteps) return expiring(low, rewardRisk, expirySteps)
    if (targets) return parted(low, rewardRisk, targets === 'trail')
    const high = WIDTH - low
    if (!trailing) return { success: low / WIDTH, r: (low * rewardRisk - high) / WIDTH }
    const [half, kept] = [halfWay(high), quarter(high)]
    const reaches = low / (low + half)
    const takes = half === high ? 1 : (half - kept) / (high - kept)
    const success = reaches * takes
    return { success, r: success * rewardRisk + reaches * (1 - takes) * value(kept, low, rewardRisk) - (1 - reaches) }
  }
  return (low, rewardRisk) => {
    const key = `${low} ${rewardRisk}`
    if (!known.has(key)) known.set(key, found(low, rewardRisk))
    return known.get(key)
  }
}

/** Hours of a step, where a life is to last so many on the average. */
export const hoursOfStep = (life) => life / LIFE

/** How an open position stands: `undefined` while it goes on, else its outcome and R. */
function ended(open, at, step, { expirySteps, trailing, targets }) {
  const { low, rewardRisk } = open
  const high = WIDTH - low
  if (targets) return endedInParts(open, at, step, targets === 'trail')
  if (at >= high) return { outcome: 'TOOK_PROFIT', r: rewardRisk }
  if (trailing && at >= halfWay(high)) open.trailed = true
  if (open.trailed && at <= quarter(high)) return { outcome: 'STOPPED_OUT', r: value(quarter(high), low, rewardRisk) }
  if (at <= -low) return { outcome: 'STOPPED_OUT', r: -1 }
  if (expirySteps && step - open.begun >= expirySteps) {
    const r = value(at, low, rewardRisk)
    return { outcome: r > 0 ? 'SUCCESS' : 'FAILURE', r }
  }
}

/** The same with two targets. `reached` is the step of the first, `best` R of the best price since then. */
function endedInParts(open, at, step, trail) {
  const { low, rewardRisk } = open
  const [high, first] = [WIDTH - low, FIRST_SHARE / 100]
  const half = halfWay(high)
  if (open.best === undefined) {
    if (at <= -low) return { outcome: 'STOPPED_OUT', r: -1 }
    if (at < half) return
    Object.assign(open, { best: at, reached: step })
  }
  open.best = Math.max(open.best, at)
  const stop = trail ? open.best - half : 0
  if (at < high && at > stop) return
  const rest = value(at, low, rewardRisk)
  const r = first * firstTarget(rewardRisk) + (1 - first) * rest
  return { outcome: at >= high ? 'TOOK_PROFIT' : 'SUCCESS', r, reached: open.reached, best: value(open.best, low, rewardRisk), rest }
}

/**
 * Lets signals live. `arrive(step)` gives the next one, `{ low, rewardRisk, direction, coin }`, and `wait(step)` after how many
 * steps there is another; `one`: only once the one before has closed. `close(signal, step, end)` hears of each end.
 */
export function live(next, count, { correlation, one, wait, arrive, close, ...exits }) {
  const common = Math.sqrt(correlation)
  const coins = new Map()
  let [open, given, step, due] = [[], 0, 0, 0]
  while (given < count || open.length > 0) {
    if (open.length === 0 && step < due) step = due
    while (given < count && step >= due && !(one && open.length > 0)) {
      const signal = arrive(step)
      if (!coins.has(signal.coin)) coins.set(signal.coin, 0)
      open.push({ ...signal, signal, begun: step, entry: coins.get(signal.coin), trailed: false })
      given++
      due = step + wait()
    }
    step++
    const market = next() < 0.5 ? 1 : -1
    const moved = new Set(open.map(({ coin }) => coin))
    for (const coin of moved) {
      const luck = next()
      const move = luck < common ? market : luck < common + (1 - common) / 2 ? 1 : -1
      coins.set(coin, coins.get(coin) + move)
    }
    open = open.filter((position) => {
      const end = ended(position, (coins.get(position.coin) - position.entry) * position.direction, step, exits)
      if (end) close(position.signal, step, end)
      return !end
    })
    if (one && open.length === 0) due = step + wait()
  }
}
