
// Sections about models, candles and the scheduler.

const DECISIONS = {
  FIRST_MODEL: 'first model',
  CHAMPION_UNUSABLE: 'the previous model could not be read',
  OTHER_SIGNAL_SHAPE: 'stop, target or expiry changed',
  NOT_WORSE: 'not worse than the previous model',
  SHORT_EVIDENCE: 'too little data to compare, nothing speaks against it',
  WORSE_LOG_LOSS: 'predicts worse than the previous model',
  MAYBE_WORSE: 'may predict worse than the previous model',
  CHAIN_WORSE: 'all promotions together would make predictions worse',
  LESS_PROFIT: 'earns less than the previous model',
  WORSE_THAN_CONSTANT: 'worse than the base rate',
}

const modelName = ({ market, name }) => (market ? `${market.symbol} ${market.timeframe}` : name)

/** How a model compares with the base rate. A model without skill predicts the base rate; one with skill may still have been no better in the test, or better by chance. */
const standing = ({ hasSkill, logLoss, constantLogLoss, skill }) => {
  if (!hasSkill) return 'base rate'
  if (logLoss >= constantLogLoss) return 'no better'
  return skill.excess && skill.excess.high < 0 ? 'better' : 'maybe'
}

const STANDINGS = {
  'base rate': ['base rate only', ''],
  better: ['better', 'good'],
  maybe: ['better, maybe by chance', ''],
  'no better': ['different, not better', 'warn'],
}

/** By how much a model is better than the base rate, with its interval. */
const gain = ({ excess, stretches, stretchDays, sinceMs }) =>
  excess
    ? `${(-excess.mean).toFixed(4)} (${(-excess.high).toFixed(4)} to ${(-excess.low).toFixed(4)}), ${stretches} × ${stretchDays} d since ${date(sinceMs)}`
    : 'too short to tell'

const skillOf = (markets) => {
  const standings = markets.filter(({ model }) => model).map(({ model }) => standing(model))
  const all = standings.length
  const [silent, better, maybe, worse] = ['base rate', 'better', 'maybe', 'no better'].map((kind) => standings.filter((one) => one === kind).length)
  const verb = (n, one, many) => (n === 1 ? one : many)
  const parts = [
    silent > 0 && `${silent} of ${count(all, 'model')} ${verb(silent, 'finds', 'find')} nothing better than the base rate and ${verb(silent, 'gives', 'give')} no signals. That is usual on real markets.`,
    better > 0 && `${better} of ${count(all, 'model')} ${verb(better, 'predicts', 'predict')} better than the base rate on bars not seen in training.`,
    maybe > 0 && `${maybe} of ${count(all, 'model')} predicted better than the base rate on bars not seen in training, but that may be chance.`,
    worse > 0 && `${worse} ${verb(worse, 'departs', 'depart')} from the base rate, but ${verb(worse, 'was', 'were')} not better on bars not seen in training.`,
  ]
  return parts.filter(Boolean).join(' ')
}

const change = (one) =>
  one.event === 'training'
    ? [
        moment(one.atMs),
        `version ${one.version}`,
        one.mode === 'full' ? 'trained in full' : 'continued',
        badge(one.promoted ? 'into service' : 'refused', one.promoted ? 'good' : 'bad'),
        `${DECISIONS[one.decision] ?? one.decision}: ${one.reason}`,
        whole(one.rows),
        one.logLoss.toFixed(4),
        one.constantLogLoss.toFixed(4),
      ]
    : [moment(one.atMs), `${one.from} → ${one.to}`, 'rolled back', badge(one.automatic ? 'live results' : 'manual', 'warn'), one.reason, null, null, null]

const lineage = (market) => {
  const { changes, earlierChanges } = market
  const refused = changes.filter((one) => one.event === 'training' && !one.promoted).length
  const about = `version ${market.version} in service${market.sinceMs ? ` since ${date(market.sinceMs)}` : ''}; ${count(changes.length + earlierChanges, 'entry', 'entries')}${refused > 0 ? `, ${refused} refused` : ''}`
  return element(
    'details',
    { id: `lineage-${market.name}` },
    element('summary', {}, modelName(market), ' ', element('span', { className: 'soft' }, about)),
    changes.length === 0
      ? paragraph('The ledger has no entry for it.')
      : table(`Trainings and rollbacks of ${modelName(market)}`, [['when (UTC)', 'tight'], ['version', 'tight'], ['training', 'tight'], ['decision'], ['reason', 'text'], ['rows', 'number'], ['log loss', 'number'], ['of the base rate', 'number']], changes.map(change)),
    earlierChanges > 0 ? paragraph(`${count(earlierChanges, 'older entry', 'older entries')} in models/ledger.jsonl.`) : null,
  )
}

/** What users' own models weigh, since when, and what they know beyond ours. */
const ownModels = (markets) => {
  const known = ({ weight, slope, slopeError, rows }) => [
    percent(weight, 0),
    slope == null ? 'nothing, or too short to tell' : `${fixed(slope, 2)} ± ${fixed(slopeError, 2)}`,
    whole(rows),
  ]
  const rows = markets
    .filter(({ own }) => own)
    .flatMap(({ own, ...market }) => [
      [modelName(market), own.name, date(own.sinceMs), 'BUY', ...known(own.buy)],
      [modelName(market), own.name, date(own.sinceMs), 'SELL', ...known(own.sell)],
    ])
  if (rows.length === 0) return null
  return element(
    'div',
    { id: 'own-models' },
    element('h3', {}, 'Your own models'),
    table('Your own models in those in service', [['market', 'tight'], ['model', 'text'], ['since', 'tight'], ['bet', 'tight'], ['weight', 'number'], ['knows beyond ours', 'text'], ['bars', 'number']], rows),
    paragraph('“Knows beyond ours” is how much outcomes changed with what your model said, where our families said the same, on bars not seen in training, with its standard error: 1 is as much as it said, 0 is not at all. The weight is the lower end of its 95\u00a0% interval, at least 0 and at most 100\u00a0%: chance brings no weight.'),
  )
}

const modelsSection = ({ markets, damagedLines, features }) => {
  if (markets.length === 0) return null
  const believed = ({ beliefBuy, beliefSell }) => `BUY ${percent(beliefBuy, 0)}, SELL ${percent(beliefSell, 0)}`
  const row = (market) => {
    const { model, error, version, sinceMs } = market
    if (!model) return [modelName(market), `${version}`, sinceMs ? date(sinceMs) : null, badge('cannot be used', 'bad'), error, null, null, null, null, null]
    return [
      modelName(market),
      `${version}`,
      sinceMs ? date(sinceMs) : date(model.trainedMs),
      badge(...STANDINGS[standing(model)]),
      model.hasSkill ? believed(model) : '–',
      gain(model.skill),
      model.symbols > 1 ? gain(model.poolSkill) : '–',
      `BUY ${percent(model.breakEvenBuy)}, SELL ${percent(model.breakEvenSell)}`,
      whole(model.heldOutSignals),
      model.heldOutProfit == null ? null : result(model.heldOutProfit, 3),
    ]
  }
  return section(
    'models',
    'Models',
    paragraph(skillOf(markets), 'verdict'),
    table('Models in service', [['market', 'tight'], ['version', 'number'], ['in service since', 'tight'], ['against the base rate', 'tight'], ['believed', 'tight'], ['better by (95 %)', 'text'], ['all symbols', 'text'], ['break-even', 'tight'], ['signals', 'number'], ['mean result', 'number']], markets.map(row)),
    paragraph('“Better by” is how much lower the log loss is than that of the base rate, on bars not seen in training, with a 95 % interval; “all symbols” is the same for all symbols that share the model. “Break-even” is the probability of success at which a bet neither earns nor loses money after costs. “Believed” is how much of a model’s departure from the base rate is used. “Signals” and their mean result after costs are the signals that the model would have given on those bars, at most one per bar.'),
    ownModels(markets),
    element('h3', {}, 'Lineage: trainings and rollbacks, with decision and reason'),
    markets.map(lineage),
    damagedLines > 0 ? paragraph(`${count(damagedLines, 'line')} of models/ledger.jsonl cannot be read and ${damagedLines === 1 ? 'is' : 'are'} left out.`) : null,
    featureBars(features),
  )
}

const featureBars = ({ models, withSkill, list, others }) => {
  if (list.length === 0) return null
  const most = list[0].share
  const bar = ({ name, formula, share }) => {
    const made = element('div', { className: 'bar' })
    made.style.width = `${(100 * share) / most}%`
    return [element('span', { title: formula }, name), made, element('span', { className: 'number' }, percent(share))]
  }
  const whose = withSkill
    ? `Mean of the ${count(models, 'model')} that ${models === 1 ? 'departs' : 'depart'} from the base rate.`
    : `Mean of ${count(models, 'model')}, none of which departs from the base rate: predictions do not use these.`
  return [
    element('h3', {}, 'Most important features'),
    element('div', { className: 'bars' }, list.flatMap(bar)),
    paragraph(`${whose} A bar is the share of a feature in reducing the variance of the labels (gain), measured on the training rows. Useless features get a share too, so only features that stand out matter. All others together have ${percent(others)}.`),
  ]
}

// Replays

const SOURCE_KINDS = { pastSignals: 'past signals', strategy: 'a strategy', ownSignals: 'the loop’s own signals' }

const replays = ({ list, more, damaged, looks }) => {
  if (list.length === 0) return null
  const rows = list.flatMap(({ atMs, source, markets, moreMarkets, fromMs, untilMs, runs }) =>
    runs.map(({ name, signals, taken, closed, meanR }, at) => [
      moment(atMs),
      name === 'whole' ? 'the whole loop' : name,
      at === 0 ? `${SOURCE_KINDS[source] ?? source}: ${markets.join(', ')}${moreMarkets > 0 ? ` and ${moreMarkets} more` : ''}, ${date(fromMs)} to ${date(untilMs)}` : 'the same',
      whole(signals),
      whole(taken),
      whole(closed),
      meanR == null ? null : inR(meanR, 3),
      meanR == null ? null : inR(meanR * closed, 1),
    ]),
  )
  return section(
    'replays',
    'Replays',
    paragraph('The last replays of past signals in this home, newest first: what the loop would have taken, and what that would have brought after costs. `npx signalloop replay --report FILE` writes a page of one.'),
    table('The last replays', [['when (UTC)', 'tight'], ['run', 'tight'], ['of what', 'text'], ['signals', 'number'], ['taken', 'number'], ['of those closed', 'number'], ['mean R', 'number'], ['sum of R', 'number']], rows),
    looks ? [element('h3', {}, 'How much of the newest one is luck?'), facts(lookRows(looks))] : null,
    more > 0 ? paragraph(`${count(more, 'earlier replay')} in replays.jsonl.`) : null,
    damaged > 0 ? paragraph(`${count(damaged, 'line')} of replays.jsonl cannot be read.`) : null,
  )
}

// Candles

const candles = ({ files, lacking }) => {
  // In a home without any fetch, missing candles are not worth reporting.
  if (files.length === 0) return null
  const known = files.filter((one) => one.candles).map((one) => one.candles)
  const from = Math.min(...known.map((one) => one.fromMs))
  const until = Math.max(...known.map((one) => one.untilMs))
  const at = (ms) => (100 * (ms - from)) / Math.max(1, until - from)
  const strip = ({ fromMs, untilMs, holes }) =>
    element(
      'div',
      { className: 'strip', role: 'img', 'aria-label': `${date(fromMs)} to ${date(untilMs)}` },
      placed(element('i'), at(fromMs), at(untilMs)),
      holes.map((hole) => placed(element('b', { title: `${duration(hole.untilMs - hole.fromMs)} from ${moment(hole.fromMs)}` }), at(hole.fromMs), at(hole.untilMs))),
    )
  const longest = (holes) => Math.max(...holes.map((hole) => hole.untilMs - hole.fromMs))
  const row = ({ name, candles: stored, problem }) =>
    stored
      ? [
          name,
          strip(stored),
          moment(stored.fromMs),
          moment(stored.untilMs),
          whole(stored.count),
          stored.holeCount === 0 ? 'none' : `${whole(stored.holeCount)}, longest ${duration(longest(stored.holes))}`,
          stored.findings.join('; '),
        ]
      : [name, badge('cannot be used', 'bad'), null, null, null, null, problem]
  const gaps = known.reduce((sum, one) => sum + one.holeCount, 0)
  const about = gaps === 0 ? 'No candle is missing in between.' : `${count(gaps, 'gap')} in all, red in the strips.`
  return section(
    'candles',
    'Candles',
    paragraph(`${about} All strips have the same time axis. Features are not computed across gaps.`),
    table('Stored candles', [['market', 'tight'], ['coverage'], ['first (UTC)', 'tight'], ['until (UTC)', 'tight'], ['candles', 'number'], ['gaps', 'tight'], ['other findings', 'text']], files.map(row)),
    lacking.length > 0 ? paragraph(`Configured, but without candles: ${lacking.join(', ')}.`) : null,
  )
}

// Scheduler

const ENDS = { finished: ['finished', 'good'], failed: ['failed', 'bad'], cancelled: ['cancelled', 'warn'] }

const failures = ({ failed = [], error }) => {
  const named = ({ symbol, timeframe, message }) => {
    const market = `${symbol} ${timeframe}`
    // Errors of the exchange already contain the market.
    return message.startsWith(market) ? message : `${market}: ${message}`
  }
  return [...failed.map(named), ...(error ? [error.message] : [])]
}

const scheduler = (status, runs) => {
  if (!status) return null
  const ran = status.tasks.some((task) => task.lastRun)
  if (!ran) {
    return section('scheduler', 'Scheduler', paragraph('No task has run in this home yet. `startScheduler()` in a backend, or `signalloop scheduler run` beside it, keeps candles and models up to date and closes open signals.'))
  }
  const what = (run) => {
    const all = failures(run)
    const more = all.length > 3 ? [`and ${all.length - 3} more`] : []
    return [run.message, ...all.slice(0, 3), ...more].filter(Boolean).join('; ')
  }
  const row = ({ task, enabled, schedule, nextRun, lastRun, running, problem }) => [
    task,
    schedule,
    lastRun ? moment(Date.parse(lastRun.endedAt)) : 'never',
    running ? badge('running', 'good') : lastRun ? badge(...ENDS[lastRun.outcome]) : null,
    problem ?? (lastRun ? what(lastRun) : null),
    nextRun ? moment(Date.parse(nextRun)) : enabled ? null : 'off',
  ]
  const { ledBy } = status
  const led = ledBy
    ? `Process ${ledBy.process} on ${ledBy.host} runs these tasks${ledBy.since ? ` since ${moment(Date.parse(ledBy.since))}` : ''}.`
    : 'No scheduler is running, so these tasks do not run on schedule.'
  const history = ({ task, ...run }) => [moment(Date.parse(run.startedAt)), task, duration(Date.parse(run.endedAt) - Date.parse(run.startedAt)), badge(...ENDS[run.outcome]), what(run)]
  return section(
    'scheduler',
    'Scheduler',
    paragraph(`${led} Times of day in ${status.timezone}; times here in UTC.`),
    table('Tasks of the scheduler', [['task', 'tight'], ['schedule', 'tight'], ['last run ended', 'tight'], ['outcome'], ['result', 'text'], [ledBy ? 'next due' : 'due, if a scheduler runs', 'tight']], status.tasks.map(row)),
    runs.length > 0
      ? [element('h3', {}, 'History'), table('Newest runs of the tasks', [['started', 'tight'], ['task'], ['duration', 'tight'], ['outcome'], ['result', 'text']], runs.map(history)), paragraph('Newest first. The watch, which runs every few seconds, is listed only when it began to fail or worked again.')]
      : null,
  )
}
