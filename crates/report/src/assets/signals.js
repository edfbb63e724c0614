
// Sections about the signals. A section takes the report's data and gives elements; its charts are drawn when it stands in the page
// and has its width.

const boxed = (draw) => {
  const box = element('div', { className: 'chart' })
  later.push(() => draw(box))
  return box
}
/** What is drawn once the sections stand. */
let later = []

const section = (id, title, ...children) => element('section', { id }, element('h2', {}, title), ...children)

// Results

const verdict = ({ figures }) => {
  const { closedSignals: closed, activeSignals: open, successRate, successInterval: interval, breakEvenRate: even, expectancy } = figures
  if (closed === 0) return paragraph(`${count(open, 'signal is', 'signals are')} open; none has closed yet, so there is nothing to judge.`, 'verdict')
  const said = `${whole(figures.successfulSignals)} of ${count(closed, 'closed signal')} succeeded: ${percent(successRate)}; the 95 % interval of so many is ${percent(interval.low)} to ${percent(interval.high)}, if each stood for itself.`
  const mean = ` A signal brought ${signed(expectancy, 3)} on the average, after costs.`
  if (even == null) return paragraph(`${said} Break-even cannot be told before there is a win and a loss.${mean}`, 'verdict')
  const [kind, words] =
    interval.low > even
      ? ['good', `All of that lies above break-even (${percent(even)}). Signals given together share their fate, so the evidence is weaker than it looks.`]
      : interval.high < even
        ? ['bad', `All of that lies below break-even (${percent(even)}): these signals have lost money.`]
        : ['warn', `Break-even (${percent(even)}) lies within that, so this may be luck either way.`]
  return paragraph(`${said} ${words}${mean}`, `verdict ${kind}`)
}

const tiles = ({ figures, results, feePercent }) => {
  const tile = (name, value, more) => element('div', { className: 'tile' }, element('dt', {}, name), element('dd', {}, value, element('small', {}, more)))
  const { curve } = results
  return element(
    'dl',
    { className: 'tiles' },
    tile('Closed signals', whole(figures.closedSignals), `${whole(figures.activeSignals)} open, ${figures.unknownSignals > 0 ? `${whole(figures.unknownSignals)} unknown, ` : ''}${whole(figures.holdSignals)} HOLD`),
    tile('Success rate', percent(figures.successRate), `95 %: ${range(figures.successInterval)}`),
    tile('Break-even', percent(figures.breakEvenRate), 'success that pays the costs'),
    tile('Mean result', result(figures.expectancy, 3), `a signal, after ${percent(feePercent, 2)} costs`),
    tile('Sum of results', result(curve.total.at(-1) ?? 0), 'same stake on each signal'),
    tile('Deepest fall', percent(curve.maxDrawdown, 2), 'below the highest sum so far'),
  )
}

const resultsSection = (signals) => {
  const parts = [verdict(signals)]
  if (signals.conservative.length > 0) {
    parts.push(paragraph(`Conservative mode (${signals.conservative.join(', ')}): ${signals.conservativeReason}. Signals need to be likelier than usual until results recover.`, 'verdict warn'))
  }
  if (signals.figures.closedSignals === 0) return section('results', 'Results', ...parts)
  const { results, figures } = signals
  const [title, span] = results.weeksASpan === 1 ? ['Success by week', 'a week'] : [`Success, ${results.weeksASpan} weeks at a time`, `${results.weeksASpan} weeks`]
  const line = figures.breakEvenRate == null ? '' : ' The dashed line is the break-even of all closed signals: below it, wins do not pay for losses and costs.'
  const legend = element('div', { className: 'legend' })
  parts.push(
    tiles(signals),
    element('h3', {}, title),
    boxed((box) => drawSuccess(box, results, figures.breakEvenRate)),
    paragraph(`A dot is the share of signals closed in ${span} that succeeded; the upright line is its 95 % interval, long where few closed, and rather too short where signals given together share their fate.${line}`),
    element('h3', {}, 'Running sum of results, after costs'),
    legend,
    boxed((box) => drawCurve(box, legend, results.curve)),
    paragraph(`Percent of the entry price, added up signal by signal, ${percent(signals.feePercent, 2)} costs taken off each. That is what the same stake on every signal brings; nothing is reinvested. Symbols can be switched on and off.`),
    element('h3', {}, 'Drawdown'),
    boxed((box) => drawDrawdown(box, results.curve)),
    paragraph('How far the sum of all results lies below its highest point so far, in percentage points.'),
  )
  return section('results', 'Results', ...parts)
}

const bySymbol = ({ bySymbol: rows, byTimeframe, byStrategy, moreSymbols, moreStrategies, followed, feePercent }) => {
  // What comes first can be seen on a phone.
  const row = ({ name, ...f }) => [
    name,
    whole(f.closedSignals),
    ...(f.closedSignals === 0
      ? ['–', '–', '–', '–', '–']
      : [result(f.totalProfitLoss - f.closedSignals * feePercent), percent(f.successRate), result(f.expectancy, 3), range(f.successInterval), percent(f.breakEvenRate)]),
    whole(f.activeSignals),
  ]
  const columns = (first) => [[first, 'tight'], ['closed', 'number'], ['sum', 'number'], ['success', 'number'], ['mean result', 'number'], ['95 % interval', 'number'], ['break-even', 'number'], ['open', 'number']]
  return section(
    'symbols',
    'By symbol',
    paragraph('Results are percent of the entry price, after costs. Where the interval is wide, too few have closed to compare symbols.'),
    table(columns('symbol'), rows.map(row)),
    moreSymbols > 0 ? paragraph(`${count(moreSymbols, 'more symbol')} with fewer closed signals.`) : null,
    byTimeframe.length > 1 ? [element('h3', {}, 'By timeframe'), table(columns('timeframe'), byTimeframe.map(row))] : null,
    byStrategy.length > 0 ? [element('h3', {}, 'By strategy'), table(columns('strategy'), byStrategy.map(row))] : null,
    moreStrategies > 0 ? paragraph(`${count(moreStrategies, 'more strategy', 'more strategies')} with fewer closed signals.`) : null,
    followed.totalSignals > 0
      ? [
          element('h3', {}, 'Followed, not traded'),
          paragraph('Signals recorded with `taken: false`: closed by prices and learned from, and in no other figure of this page.'),
          table(columns(''), [row({ name: 'followed', ...followed })]),
        ]
      : null,
  )
}

const OUTCOMES = {
  TOOK_PROFIT: ['took profit', 'good'],
  SUCCESS: ['closed with a profit', 'good'],
  STOPPED_OUT: ['stopped out', 'bad'],
  FAILURE: ['closed without profit', 'bad'],
}

const latest = ({ results }) =>
  section(
    'latest',
    'Closed last',
    table(
      [['closed (UTC)', 'tight'], ['symbol', 'tight'], ['result', 'number'], ['outcome'], ['signal'], ['timeframe']],
      results.latest.map((one) => [moment(one.atMs), one.symbol, result(one.profit), badge(...OUTCOMES[one.outcome]), one.signalType, one.timeframe]),
    ),
  )

// What was said before the outcome

const mean = (one, digits) => {
  if (one == null) return '–'
  const shown = (n) => `${n < 0 ? '−' : '+'}${Math.abs(n).toFixed(digits)}`
  return `${shown(one.mean)}${one.interval ? ` [${shown(one.interval.low)}, ${shown(one.interval.high)}]` : ''}`
}

const KINDS = { adds: 'good', betterProbabilities: 'good', costs: 'bad', worseProbabilities: 'bad', noDifference: 'warn' }

const scorecard = ({ scorecard: card }) => {
  const { overall, finding, verdict: words } = card
  if (!overall) return null
  const row = ({ name, score: { signals, successShare, meanProbability, logLoss, realisedR: r } }) => [
    name,
    whole(signals),
    mean(r?.gain, 2),
    mean(r?.all, 2),
    mean(r?.take, 2),
    mean(r?.left, 2),
    percent(100 * successShare),
    percent(100 * meanProbability),
    mean(logLoss.againstBaseRate, 4),
    mean(logLoss.againstPrior, 4),
  ]
  const columns = (first) => [[first, 'tight'], ...['closed', 'take adds', 'R of all', 'take', 'left', 'success', 'said', 'log loss against base rate', 'against prior'].map((head) => [head, 'number'])]
  const parts = (heading, first, rows) => (rows.length > 0 ? [element('h3', {}, heading), table(columns(first), rows.map(row))] : null)
  const bins = card.calibration.map(({ said, came: { signals, mean: share, interval } }) => [
    percent(100 * said),
    percent(100 * share),
    interval ? range({ low: 100 * interval.low, high: 100 * interval.high }) : '–',
    whole(signals),
  ])
  return section(
    'scorecard',
    'What was said, and what came',
    paragraph(`${words[0].toUpperCase()}${words.slice(1)}.`, `verdict ${KINDS[finding] ?? ''}`),
    paragraph(`What \`assess\` said of ${count(overall.signals, 'closed signal')} when they were recorded${overall.followed > 0 ? `; ${whole(overall.followed)} of them were followed and not traded` : ''}. R is the profit after costs in units of the risk at entry; log loss below 0 is better than the base rate, or than what candles said alone. In brackets 95 % intervals, in which signals given together count as one.`),
    table(columns(''), [row({ name: 'all', score: overall })]),
    element('h3', {}, 'Probabilities said, and how often they came true'),
    table([['said', 'number'], ['came', 'number'], ['95 % interval', 'number'], ['closed', 'number']], bins),
    parts('By strategy', 'strategy', card.byStrategy),
    parts('By symbol', 'symbol', card.bySymbol),
    parts('By month', 'month', card.byMonth),
  )
}

// Probabilities

const probabilities = ({ signals, models }) => {
  const live = signals?.calibration ?? []
  const panels = []
  if (live.length > 0) {
    panels.push(
      element(
        'div',
        {},
        element('h3', {}, 'Live: the confidence that signals stated'),
        boxed((box) => drawCalibration(box, live, 'closed signal')),
        paragraph('Of your closed signals. A signal that says “70 % confident” should succeed 7 times in 10. For signals of the models, the confidence is the probability that was assessed at entry; for others, whatever your backend stated.'),
      ),
    )
  }
  if (models.calibration.length > 0) {
    panels.push(
      element(
        'div',
        {},
        element('h3', {}, 'Held out: the models in service'),
        boxed((box) => drawCalibration(box, models.calibration, 'prediction')),
        paragraph('What the models said of bars that they had not seen in training, all markets and both directions together. Labels overlap in time, so the intervals count only what they are independently worth.'),
      ),
    )
  }
  if (panels.length === 0) return null
  return section(
    'probabilities',
    'Do probabilities come true?',
    paragraph('Dots on the dashed line keep their promise. Below it, promises are too high; above it, too low. Dots are groups of about equal size, upright lines 95 % intervals.'),
    element('div', { className: 'pair' }, panels),
  )
}

// Patterns

const interval = ({ successRate, successInterval, baseRate }) =>
  element(
    'div',
    { className: 'range', role: 'img', 'aria-label': `${range(successInterval)}, all signals ${percent(baseRate)}` },
    placed(element('u'), baseRate),
    placed(element('i'), successInterval.low, successInterval.high),
    placed(element('b'), successRate),
  )

const patterns = ({ patterns: rules, patternsOf, patternsNeed }) => {
  if (rules.length === 0) {
    const why =
      patternsOf < patternsNeed
        ? `${count(patternsOf, 'signal has', 'signals have')} closed; from ${patternsNeed} on, rules are looked for.`
        : `In ${count(patternsOf, 'closed signal')}, no rule stands out from what chance alone would show.`
    return section('learned', 'What was learned', paragraph(why))
  }
  const row = (rule) => [
    rule.rule,
    `${whole(rule.successes)} of ${whole(rule.count)}`,
    percent(rule.successRate),
    interval(rule),
    range(rule.successInterval),
    rule.pValue.toFixed(3),
    date(rule.sinceMs),
    rule.stillHolds == null ? 'too few to tell' : rule.stillHolds ? 'yes' : 'no',
  ]
  return section(
    'learned',
    'What was learned',
    paragraph(`Rules found in ${count(patternsOf, 'closed signal')}, of which ${percent(rules[0].baseRate)} succeeded (dashed mark), the strongest first. “By chance” is how often chance alone shows any rule as strong; only rules at 0.025 or less are told. A rule is what happened, not why.`),
    table([['rule', 'text'], ['succeeded', 'number'], ['success', 'number'], ['0 – 100 %'], ['95 % interval', 'number'], ['by chance', 'number'], ['holds since', 'tight'], ['still holds', 'tight']], rules.map(row)),
  )
}
