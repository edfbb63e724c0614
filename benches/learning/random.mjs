// Random numbers that are the same on every machine.

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

export const normal = (next) => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
export const between = (next, low, high) => low + (high - low) * next()
export const among = (next, values) => values[Math.floor(next() * values.length)]

/** As many of the numbers 0 to `count` − 1, all different. */
export function some(next, many, count) {
  const left = Array.from({ length: count }, (_, i) => i)
  return Array.from({ length: many }, () => left.splice(Math.floor(next() * left.length), 1)[0])
}
