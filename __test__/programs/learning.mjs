// A short run of `npm run bench:learning`: some worlds, two seeds, 300 outcomes, without peers. Prints the mean figures of each world.
import { measured } from '../../benches/learning/measures.mjs'
import { checkpointsOf, play } from '../../benches/learning/product.mjs'
import { world } from '../../benches/learning/worlds.mjs'

const KNOWN = 300
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length

const found = {}
for (const name of ['textbook', 'textbook-anonymous', 'none']) {
  const seeds = []
  for (const seed of [1, 2]) {
    const drawn = world(name, seed, KNOWN + 100)
    const checkpoints = checkpointsOf(drawn, [KNOWN]).map((at) => ({ ...at, questions: drawn.questions(at.index, at.t, 500) }))
    const answers = (await play(drawn, checkpoints)).found[KNOWN]
    const { rank, information, excess } = measured(answers, checkpoints[0].questions)
    // Where nothing can be known there is nothing to share: NaN, in JSON null.
    seeds.push({ rank: rank.reached / rank.possible, information: information.reached / information.possible, excess })
  }
  found[name] = Object.fromEntries(Object.keys(seeds[0]).map((measure) => [measure, mean(seeds.map((figures) => figures[measure]))]))
}
console.log(JSON.stringify(found))
