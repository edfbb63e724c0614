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

/** Steps to the stop of a signal that is to succeed with about this probability. */
export const down = (probability) => Math.min(WIDTH - 1, Math.max(1, Math.round(WIDTH * probability)))

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

/** What is true of signals: their probability of success and mean R before costs, by how far their stop is. */
export function truths({ expirySteps, trailing }) {
  if (expirySteps && trailing) throw new Error('a world has an expiry or trailed stops, not both')
  const known = new Map()
  const found = (low, rewardRisk) => {
    if (expirySteps) return expiring(low, rewardRisk, expirySteps)
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
function ended(open, at, step, { expirySteps, trailing }) {
  const { low, rewardRisk } = open
  const high = WIDTH - low
  if (at >= high) return { outcome: 'TOOK_PROFIT', r: rewardRisk }
  if (trailing && at >= halfWay(high)) open.trailed = true
  if (open.trailed && at <= quarter(high)) return { outcome: 'STOPPED_OUT', r: value(quarter(high), low, rewardRisk) }
  if (at <= -low) return { outcome: 'STOPPED_OUT', r: -1 }
  if (expirySteps && step - open.begun >= expirySteps) {
    const r = value(at, low, rewardRisk)
    return { outcome: r > 0 ? 'SUCCESS' : 'FAILURE', r }
  }
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
