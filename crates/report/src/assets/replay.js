
// The page of a replay: what the loop would have said of past signals, and what that would have brought.

const FINDINGS = { helped: 'good', earn: 'good', moreThanLuck: 'good', harmed: 'bad', lose: 'bad', notEnough: 'warn', perhapsLuck: 'warn', luckUnknown: 'warn' }

const told = ({ finding, words }) => paragraph(sentence(words), `verdict ${FINDINGS[finding] ?? ''}`)

const verdictSection = ({ verdict: { advice, signals, looks } }) =>
  section('verdict', 'Would it have helped?', [advice, signals, looks].filter(Boolean).map(told))

// What was replayed

const SOURCES = { signals: 'past signals', strategy: 'a strategy, asked at the close of each candle', own: 'the loop’s own signals' }
const replayed = ({ from, until, markets, source, costs, looks, sets: [{ open, unknown, cancelled }], holds, unassessed }) => {
  const funding = costs.fundingPercentPerDay === 0 ? '' : `, and ${percent(costs.fundingPercentPerDay, 3)} a day for holding`
  const rows = [
    ['Period', `${moment(Date.parse(from))} to ${moment(Date.parse(until))} UTC, ${duration(Date.parse(until) - Date.parse(from))}`],
    ['Markets', markets.join(', ')],
    ['Signals', `${SOURCES[source] ?? source}; ${whole(open)} open at the end, ${whole(unknown)} with an unknown end, ${whole(cancelled)} cancelled, ${whole(unassessed)} not assessed, ${whole(holds)} HOLD`],
    ['Costs', `${percent(costs.feePercent, 2)} of the entry a round trip${funding}, where a signal states none`],
    ...lookRows(looks),
  ]
  return section('replayed', 'What was replayed', table('What was replayed', [['', 'tight'], ['']], rows))
}

// Figures

const NAMES = { all: 'all signals', taken: 'taken', left: 'left', oracle: 'oracle' }
const COLOURS = { all: 'ink', taken: 'c0', left: 'c1', oracle: 'c2' }

/** A number with its interval, such as `1.20 [0.40, 2.10]`. */
const within = (n, interval) => {
  const shown = (end) => `${end < 0 ? '−' : ''}${fixed(Math.abs(end), 2)}`
  return n == null ? '–' : `${shown(n)}${interval ? ` [${shown(interval.low)}, ${shown(interval.high)}]` : ''}`
}

const share = (part) => (part == null ? '–' : percent(100 * part))
const coloured = (n, text) => element('span', { className: n > 0 ? 'good-text' : n < 0 ? 'bad-text' : '' }, text)
const sumOfR = ({ withStop, totalR }) => (withStop === 0 ? '–' : coloured(totalR, inR(totalR, 1)))

const figures = ({ sets, oracle }) => {
  const row = (one) => [
    NAMES[one.name],
    whole(one.signals),
    whole(one.closed),
    share(one.successShare),
    one.meanR == null ? '–' : mean({ mean: one.meanR, interval: one.meanRInterval }, 3),
    sumOfR(one),
    one.closed === 0 ? '–' : result(one.totalNetProfitPercent),
    one.withStop === 0 ? '–' : `${fixed(one.maxDrawdownR, 1)}\u00a0R`,
    one.closed === 0 ? '–' : percent(one.maxDrawdownPercent),
    within(one.sharpeRatio, one.sharpeInterval),
  ]
  const heads = ['signals', 'closed', 'success', 'mean R', 'total R', 'net profit', 'drawdown R', 'drawdown %', 'Sharpe']
  const bound = oracle
    ? ` The oracle knows the true probabilities of ${count(oracle.judged, 'signal')}: nothing can be expected to do better.${oracle.ignored > 0 ? ` It takes none of ${count(oracle.ignored, 'signal')} whose probability or levels are missing.` : ''}`
    : ''
  return section(
    'figures',
    'All, taken, left',
    table('All signals, those taken and those left', [['', 'tight'], ...heads.map((head) => [head, 'number'])], sets.map(row)),
    paragraph(`“Taken” are the signals that it advised to take before they were recorded, “left” the others; every one counts with the same stake. R is profit after costs in units of the risk at entry, of the signals with a stop; net profit adds up percent of the entry. Drawdown is the deepest fall of a running sum below its highest point. Sharpe is that of a year, by calendar day, from 90 days and 30 days with a closing on. Brackets are 95 % intervals: of mean R clustered by time, of Sharpe as if days did not depend on each other.${bound}`),
  )
}

// Running sums

const curves = ({ sums }) => {
  if (sums.times.length === 0) return section('curves', 'Running sums', paragraph('No signal closed, so there is nothing to draw.'))
  const unit = sums.inR ? IN_R : PERCENT
  const drawn = {
    label: 'Running sums of results after costs, of all signals, those taken, and those left',
    times: sums.times,
    lines: sums.lines.map(({ name, values }) => ({ name: NAMES[name], swatch: COLOURS[name], width: name === 'taken' ? 2.5 : 1.5, values })),
    drawdown: sums.drawdown,
    fallen: 'taken: below its peak by',
    unit,
  }
  const legend = element('div', { className: 'legend' })
  const what = sums.inR ? 'R of the signals with a stop' : 'percent of the entry, since no signal has a stop'
  return section(
    'curves',
    'Running sums, after costs',
    legend,
    boxed((box) => drawSums(box, legend, drawn)),
    paragraph(`Added up in order of closing: ${what}. A point is the end of ${duration(sums.stepMs)} in which something closed. Lines can be switched on and off.`),
    sumsTable('sums', drawn),
    element('h3', {}, 'Drawdown of those taken'),
    boxed((box) => drawDrawdown(box, drawn)),
    paragraph('How far the sum of those taken lies below its highest point so far; of each point, the deepest.'),
  )
}

// What each part brought

const PARTS = { models: 'models of candles', outcomes: 'learning from outcomes', gate: 'the gate for new models', conservative: 'conservative mode' }

const partsSection = ({ parts }) => {
  if (parts.length === 0) return null
  const row = ({ without, verdict, difference: { r, totalR, logLoss, onlyWhole, onlyOther } }) => [
    PARTS[without] ?? without,
    sentence(verdict.words),
    mean(r, 3),
    r ? coloured(totalR, inR(totalR, 1)) : '–',
    mean(logLoss, 4),
    `${whole(onlyWhole)} / ${whole(onlyOther)}`,
  ]
  const columns = [['part', 'tight'], ['did it help?', 'text'], ['R a signal', 'number'], ['R in all', 'number'], ['log loss', 'number'], ['with / without', 'number']]
  const unpaired = Math.max(...parts.map(({ difference }) => difference.unpaired))
  return section(
    'parts',
    'What each part brought',
    table('What each part brought', columns, parts.map(row)),
    paragraph(`Each part was left out in one more run over the same signals. Differences are the first run minus that one, so that R above 0 and log loss below 0 speak for the part. Brackets are 95 % intervals, in which signals given at the same time count as one. “With / without” are the signals that would have been taken only with the part, and only without it.${unpaired > 0 ? ` Up to ${count(unpaired, 'signal')} that one run lacks are in no figure.` : ''}`),
  )
}

// Predictions

const predictions = ({ score, calibration }) => {
  if (!score) return section('predictions', 'Predictions and outcomes', paragraph('No signal closed that was assessed before.'))
  const { logLoss, signals, successShare, meanProbability } = score
  const rows = [
    ['what it said', logLoss.probability.toFixed(4), '–'],
    ['base rate', logLoss.baseRate.toFixed(4), mean(logLoss.againstBaseRate, 4)],
    ['from candles or levels alone', logLoss.prior.toFixed(4), mean(logLoss.againstPrior, 4)],
  ]
  return section(
    'predictions',
    'Predictions and outcomes',
    paragraph(`Probabilities stated before ${count(signals, 'closed signal')} ended: ${percent(100 * meanProbability)} on average, and ${percent(100 * successShare)} succeeded.`),
    table('Log loss of predictions', [['', 'tight'], ['log loss', 'number'], ['it said, minus this', 'number']], rows),
    paragraph('Log loss is in nats a signal, less is better. A difference below 0 speaks for what it said.'),
    calibration.length > 0
      ? [
          element('h3', {}, 'Do probabilities come true?'),
          element('div', { className: 'pair' }, boxed((box) => drawCalibration(box, calibration, 'signal'))),
          paragraph('Dots on the dashed line came true exactly as often as predicted. Below the line, predictions were too high; above it, too low. Vertical lines are 95 % intervals, clustered by time.'),
          calibrationTable('predictions', calibration),
        ]
      : null,
  )
}

// By month, strategy and symbol

const tables = ({ byMonth, byStrategy, moreStrategies, bySymbol, moreSymbols }) => {
  const side = (of) => (of ? [whole(of.closed), share(of.successShare), of.meanR == null ? '–' : coloured(of.meanR, inR(of.meanR)), sumOfR(of)] : ['0', '–', '–', '–'])
  const row = ({ name, all, taken }) => [name, ...side(taken), ...side(all)]
  const heads = (whose) => ['closed', 'success', 'mean R', 'total R'].map((head) => [`${whose}: ${head}`, 'number'])
  const part = (title, first, rows) => (rows.length > 0 ? [element('h3', {}, title), table(title, [[first, 'tight'], ...heads('taken'), ...heads('all')], rows.map(row))] : null)
  return section(
    'tables',
    'By month, strategy and symbol',
    part('By month', 'month (UTC)', byMonth),
    part('By strategy', 'strategy', byStrategy),
    moreStrategies > 0 ? paragraph(`${count(moreStrategies, 'more strategy', 'more strategies')} with fewer signals.`) : null,
    part('By symbol', 'symbol', bySymbol),
    moreSymbols > 0 ? paragraph(`${count(moreSymbols, 'more symbol')} with fewer signals.`) : null,
    paragraph('Months are those in which signals were given.'),
  )
}

// What happened

const KINDS = { conservativeMode: 'conservative mode', emergencyTraining: 'emergency training', outcomeDrift: 'drift of outcomes', entryDrift: 'drift at entry', rollback: 'rollback', taskFailed: 'task failed', warning: 'warning' }

const nameOf = (market) => (market ? `${market.symbol} ${market.timeframe}` : null)

const happened = ({ promoted, refusedModels, notes, moreNotes }) =>
  section(
    'happened',
    'What happened',
    paragraph(`${count(promoted, 'model')} went into service, and the gate refused ${whole(refusedModels)}.`),
    notes.length > 0
      ? table('What happened', [['when (UTC)', 'tight'], ['what', 'tight'], ['market', 'tight'], ['', 'text']], notes.map(({ at, kind, market, text }) => [moment(Date.parse(at)), KINDS[kind] ?? kind, nameOf(market), text]))
      : paragraph('No drift, no conservative mode, no rollback, no warning.'),
    moreNotes > 0 ? paragraph(`${count(moreNotes, 'later note')} not listed.`) : null,
  )

// Faults, and what was left out

const faultsSection = ({ faults, earlier, leftOut, refused, moreRefused }) => {
  const more = faults.count - faults.first.length
  return section(
    'faults',
    'Faults, and what was left out',
    earlier > 0 ? paragraph(`${count(earlier, 'earlier signal')} known from the beginning, and not counted.`) : null,
    paragraph(
      leftOut > 0
        ? `${count(leftOut, 'signal')} not replayed: later than the period, or without candles from that time on.`
        : 'No signal was later than the period, and none was without candles.',
    ),
    faults.count > 0
      ? [
          element('h3', {}, count(faults.count, 'fault')),
          table('Faults', [['when (UTC)', 'tight'], ['market', 'tight'], ['what went wrong', 'text']], faults.first.map(({ at, market, problem }) => [moment(Date.parse(at)), nameOf(market), problem])),
          more > 0 ? paragraph(`${count(more, 'later fault')} not listed.`) : null,
        ]
      : paragraph('No signal had a fault.'),
    refused.length > 0
      ? [
          element('h3', {}, 'Not read as signals'),
          table('Not read as signals', [['where', 'tight'], ['why', 'text']], refused.map(({ place, reason }) => [place, reason])),
          moreRefused > 0 ? paragraph(`${whole(moreRefused)} more.`) : null,
        ]
      : null,
  )
}

const limits = () =>
  section(
    'limits',
    'What a replay cannot know',
    element(
      'ul',
      {},
      [
        'Fills. An entry at a price counts as filled there; a real order may be filled in part, later, or not at all.',
        'Slippage. A stop is taken to be filled at its price or at the open beyond it; in a fast market you would get less. Your own size would move the price of a thin market.',
        'The order of prices inside a candle. Where a candle touches stop and target, the stop counts, unless finer candles tell.',
        'You. It takes each trade that it advises to take, at once and in full. Whoever hesitates, skips a trade or sizes by feel gets another result.',
        'The choice of what to replay. Whoever tries many strategies and settings finds one that did well by luck; the number of looks and trials above is what this home knows of that.',
      ].map((text) => element('li', {}, text)),
    ),
  )

const TITLES = { verdict: 'Verdict', replayed: 'Replayed', figures: 'Figures', curves: 'Sums', parts: 'Parts', predictions: 'Predictions', tables: 'Tables', happened: 'Events', faults: 'Faults', limits: 'Limits' }

const drawReplay = (replay) => {
  const sections = () => [verdictSection, replayed, figures, curves, partsSection, predictions, tables, happened, faultsSection, limits].map((make) => make(replay))
  const about = `Replay of ${SOURCES[replay.source] ?? replay.source}, ${date(Date.parse(replay.from))} to ${date(Date.parse(replay.until))}`
  show(sections, { titles: TITLES, about, version: replay.version })
}

const replay = JSON.parse(document.getElementById('data').textContent)
drawReplay(replay)
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => drawReplay(replay))
