// A short run of benches/learning.mjs: four seeds, 300 signals. Prints the mean figures of each contender in each market.
import { play } from '../../benches/learning/contenders.mjs'
import { market } from '../../benches/learning/market.mjs'
import { betterHalf, excessLogLoss, mean, share } from '../../benches/learning/measures.mjs'

const KNOWN = 300

async function figures(name, seed, variant) {
  const { signals, fresh } = market(seed, variant)
  const asked = fresh(KNOWN / 10 - 1, 1000)
  const played = { seed, signals: signals.slice(0, KNOWN), fresh: asked, checkpoints: [KNOWN] }
  const stated = (await play(name, played)).fresh[KNOWN]
  const truth = asked.map(({ probability }) => probability)
  const successes = asked.map(({ success }) => Number(success))
  return {
    share: share(stated, truth), // without rules there is no gain to share: NaN, in JSON null
    excess: excessLogLoss(stated, truth),
    taken: betterHalf(stated, successes) - mean(successes),
  }
}

const found = {}
for (const name of ['signalloop', 'no learning', 'random']) {
  for (const variant of ['steady', 'none']) {
    const seeds = []
    for (const seed of [1, 2, 3, 4]) seeds.push(await figures(name, seed, variant))
    const average = (measure) => mean(seeds.map((figures) => figures[measure]))
    found[`${name}, ${variant}`] = { share: average('share'), excess: average('excess'), taken: average('taken') }
  }
}
console.log(JSON.stringify(found))
