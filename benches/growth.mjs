// Measures how CPU time and memory of a training grow from 2 000 to 1 000 000 rows, on simulated candles of five minutes.
//
//     node benches/growth.mjs [--quick]
import { coreFigures } from './shared/children.mjs'
import { alone } from './shared/run.mjs'

const SIZES = [2_000, 8_000, 32_000, 128_000, 500_000, 1_000_000]

/** The exponent of a power law: the slope of the logarithms, by least squares. */
function exponent(points) {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)])
  const mean = (i) => logs.reduce((sum, point) => sum + point[i], 0) / logs.length
  const [x, y] = [mean(0), mean(1)]
  const sum = (term) => logs.reduce((total, point) => total + term(point), 0)
  return sum(([a, b]) => (a - x) * (b - y)) / sum(([a]) => (a - x) ** 2)
}

async function measure({ quick }) {
  const sizes = quick ? SIZES.slice(0, 3) : SIZES
  const trained = sizes.map((size) => coreFigures('growth', size))
  // Small trainings vary most, so the best of several is taken; disturbances only make them slower.
  for (const [i, size] of sizes.entries()) {
    if (size > 50_000) continue
    for (let again = 0; again < 4; again++) {
      const other = coreFigures('growth', size)
      if (other.trainingSeconds < trained[i].trainingSeconds) trained[i] = other
    }
  }
  const largest = trained.at(-1)
  const rows = trained.map(({ rows, trainingSeconds }) => ({
    what: `training and evaluating ${rows} rows of 46 features`, unit: 'CPU s', lower: true, ours: [trainingSeconds],
  }))
  return [
    ...rows,
    { what: 'its growth, exponent', unit: '', lower: true, ours: [exponent(trained.map(({ rows, trainingSeconds }) => [rows, trainingSeconds]))], target: 1.1 },
    {
      what: `peak memory at ${largest.rows} rows by the size of their features (${Math.round(largest.matrixBytes / 1e6)} MB)`,
      unit: '×', lower: true, ours: [largest.peakBytes / largest.matrixBytes], target: 3,
    },
    { what: 'the same', unit: 'GB', lower: true, ours: [largest.peakBytes / 1e9], target: quick ? undefined : 3 },
  ]
}

export const growth = { name: 'growth', measure }
await alone(growth, import.meta.url)
