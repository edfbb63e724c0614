// The programs that train, each time in a new empty folder.
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { figures, nodeFigures, pythonFile } from '../shared/children.mjs'
import { inFolder } from '../shared/measure.mjs'

/**
 * Turns of signalloop (`ours`) and of the Python learners of these names on the candles of `folder`, as CPU seconds; and, by
 * contender (signalloop by its name), all figures of its last turn. `script` is the Python file that trains.
 */
export function contenders(folder, peer, learners, script = 'training.py') {
  const last = {}
  const turn = (name, play) => async () => {
    last[name] = await inFolder(folder, play)
    return last[name].cpuSeconds
  }
  const ours = turn('signalloop', (home) => {
    for (const part of ['data', 'training_config.json']) cpSync(join(folder, part), join(home, part), { recursive: true })
    return nodeFigures('training/ours.mjs', home)
  })
  const theirs = (learner) =>
    turn(learner, (models) => figures(peer.python, pythonFile(script), join(folder, 'data'), learner, models))
  return { turns: { ours, ...Object.fromEntries(learners.map((name) => [name, theirs(name)])) }, last }
}
