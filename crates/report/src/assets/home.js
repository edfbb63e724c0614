
// Sections about what the home holds besides signals: models, candles, the scheduler.

const DECISIONS = {
  FIRST_MODEL: 'first model',
  CHAMPION_UNUSABLE: 'the one before could not be read',
  OTHER_SIGNAL_SHAPE: 'stop, target or expiry changed',
  NOT_WORSE: 'not worse than the one before',
  SHORT_EVIDENCE: 'too little to compare, nothing against it',
  WORSE_LOG_LOSS: 'predicts worse than the one before',
  MAYBE_WORSE: 'may predict worse than the one before',
  CHAIN_WORSE: 'would make the models in a row worse',
  LESS_PROFIT: 'earns less than the one before',
  WORSE_THAN_CONSTANT: 'worse than the base rate',
}

const modelName = ({ market, name }) => (market ? `${market.symbol} ${market.timeframe}` : name)

/** A model without skill says the base rate; one with skill may still have done no better than it where it was tested, or by chance. */
const standing = ({ hasSkill, logLoss, constantLogLoss, skill }) => {
  if (!hasSkill) return 'base rate'
  if (logLoss >= constantLogLoss) return 'no better'
  return skill.excess && skill.excess.high < 0 ? 'better' : 'maybe'
}

const STANDINGS = {
  'base rate': ['base rate only', ''],
  better: ['better than it', 'good'],
  maybe: ['better, maybe by chance', ''],
  'no better': ['departs, no better', 'warn'],
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
    silent > 0 && `${silent} of ${count(all, 'model')} ${verb(silent, 'finds', 'find')} nothing better than the base rate, ${verb(silent, 'says', 'say')} so and ${verb(silent, 'gives', 'give')} no signals: that is usual on real markets, and better than invented ones.`,
    better > 0 && `${better} of ${count(all, 'model')} ${verb(better, 'does', 'do')} better than the base rate on bars not seen in training.`,
    maybe > 0 && `${maybe} of ${count(all, 'model')} ${verb(maybe, 'did', 'did')} better than the base rate on bars not seen in training, which may be chance.`,
    worse > 0 && `${worse} ${verb(worse, 'departs', 'depart')} from the base rate, but did no better than it on bars not seen in training.`,
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
    : [moment(one.atMs), `${one.from} → ${one.to}`, 'rolled back', badge(one.automatic ? 'live results' : 'by hand', 'warn'), one.reason, null, null, null]

const lineage = (market) => {
  const { changes, earlierChanges } = market
  const refused = changes.filter((one) => one.event === 'training' && !one.promoted).length
  const about = `version ${market.version} in service${market.sinceMs ? ` since ${date(market.sinceMs)}` : ''}; ${count(changes.length + earlierChanges, 'entry', 'entries')}${refused > 0 ? `, ${refused} refused` : ''}`
  return element(
    'details',
    { id: `lineage-${market.name}` },
    element('summary', {}, modelName(market), ' ', element('span', { className: 'soft' }, about)),
    changes.length === 0
      ? paragraph('The ledger says nothing about it.')
      : table([['when (UTC)', 'tight'], ['version', 'tight'], ['how', 'tight'], ['decided'], ['why', 'text'], ['rows', 'number'], ['log loss', 'number'], ['base rate’s', 'number']], changes.map(change)),
    earlierChanges > 0 ? paragraph(`${count(earlierChanges, 'older entry', 'older entries')} in models/ledger.jsonl.`) : null,
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
    table([['market', 'tight'], ['version', 'number'], ['in service since', 'tight'], ['beside the base rate', 'tight'], ['believed', 'tight'], ['better by (95 %)', 'text'], ['all its symbols', 'text'], ['break-even', 'tight'], ['signals', 'number'], ['mean result', 'number']], markets.map(row)),
    paragraph('“Better by” is how much lower the log loss is than that of always saying the base rate, on bars not seen in training, with an interval over stretches of time; “all its symbols” is the same of all symbols that share the model. “Break-even” is the chance at which a bet earns nothing after costs. “Believed” is how much of a model’s departure from the base rate is used. “Signals” and their mean result after costs are what the model would have given on those bars, at most one a bar.'),
    element('h3', {}, 'Lineage: what was trained, promoted, refused, and why'),
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
    element('h3', {}, 'What the models look at'),
    element('div', { className: 'bars' }, list.flatMap(bar)),
    paragraph(`${whose} The share of each feature in lessening the variance of the labels (gain), measured on the training’s own rows, so a feature without any use gets a share too: only what stands out says something. All others together have ${percent(others)}.`),
  ]
}

// Candles

const candles = ({ files, lacking }) => {
  // A home that nothing was ever fetched for lacks nothing yet.
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
    paragraph(`${about} All strips have one time axis. Signals and models rest on these; features are not computed across gaps.`),
    table([['market', 'tight'], ['coverage'], ['first (UTC)', 'tight'], ['until (UTC)', 'tight'], ['candles', 'number'], ['gaps', 'tight'], ['found besides', 'text']], files.map(row)),
    lacking.length > 0 ? paragraph(`Configured, but without candles: ${lacking.join(', ')}.`) : null,
  )
}

// Scheduler

const ENDS = { finished: ['finished', 'good'], failed: ['failed', 'bad'], cancelled: ['cancelled', 'warn'] }

const failures = ({ failed = [], error }) => {
  const named = ({ symbol, timeframe, message }) => {
    const market = `${symbol} ${timeframe}`
    // What the exchange refused names its market itself.
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
    : 'No scheduler is running, so none of these tasks is run by itself.'
  const history = ({ task, ...run }) => [moment(Date.parse(run.startedAt)), task, duration(Date.parse(run.endedAt) - Date.parse(run.startedAt)), badge(...ENDS[run.outcome]), what(run)]
  return section(
    'scheduler',
    'Scheduler',
    paragraph(`${led} Times of day in ${status.timezone}; times here in UTC.`),
    table([['task'], ['runs', 'tight'], ['last ended', 'tight'], ['how'], ['what it came to', 'text'], [ledBy ? 'next due' : 'due, if one runs', 'tight']], status.tasks.map(row)),
    runs.length > 0
      ? [element('h3', {}, 'History'), table([['began', 'tight'], ['task'], ['took', 'tight'], ['how'], ['what it came to', 'text']], runs.map(history)), paragraph('The newest first. Of the watch, which runs every few seconds, only when it began to fail or worked again.')]
      : null,
  )
}
