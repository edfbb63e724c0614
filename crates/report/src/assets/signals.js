
// Sections about signals: each turns the report's data into elements.

// Results

const verdict = ({ figures }) => {
  const { closedSignals: closed, activeSignals: open, totalSignals: all, pendingSignals: pending, successRate, successInterval: interval, breakEvenRate: even, expectancy } = figures
  if (all + pending === 0) return paragraph('No signal matches.', 'verdict')
  if (closed === 0) return paragraph(`${count(open, 'signal is', 'signals are')} open; none has closed yet, so there is nothing to judge.`, 'verdict')
  const said = `${whole(figures.successfulSignals)} of ${count(closed, 'closed signal')} succeeded: ${percent(successRate)}; the 95 % interval is ${percent(interval.low)} to ${percent(interval.high)}, if the signals were independent.`
  const mean = ` On average, a signal earned ${signed(expectancy, 3)} after costs.`
  if (even == null) return paragraph(`${said} Break-even is known once there is a win and a loss.${mean}`, 'verdict')
  const [kind, words] =
    interval.low > even
      ? ['good', `The whole interval lies above break-even (${percent(even)}). Signals given at the same time depend on each other, so the evidence is weaker than it looks.`]
      : interval.high < even
        ? ['bad', `The whole interval lies below break-even (${percent(even)}): these signals have lost money.`]
        : ['warn', `Break-even (${percent(even)}) lies within the interval, so the result may be luck either way.`]
  return paragraph(`${said} ${words}${mean}`, `verdict ${kind}`)
}

/** What a closed signal cost on average, in percent of the entry. */
const costsOf = ({ averageProfitLoss, expectancy }) => averageProfitLoss - expectancy

const tiles = ({ figures, results }) => {
  const tile = (name, value, more) => element('div', { className: 'tile' }, element('dt', {}, name), element('dd', {}, value, element('small', {}, more)))
  const { curve } = results
  return element(
    'dl',
    { className: 'tiles' },
    tile('Closed signals', whole(figures.closedSignals), `${whole(figures.activeSignals)} open, ${figures.unknownSignals > 0 ? `${whole(figures.unknownSignals)} unknown, ` : ''}${whole(figures.holdSignals)} HOLD`),
    tile('Success rate', percent(figures.successRate), `95 %: ${range(figures.successInterval)}`),
    tile('Break-even', percent(figures.breakEvenRate), 'success rate that covers losses and costs'),
    tile('Mean result', result(figures.expectancy, 3), `per signal, after ${percent(costsOf(figures), 2)} costs`),
    tile('Sum of results', result(curve.total.at(-1) ?? 0), 'same stake on each signal'),
    tile('Deepest fall', percent(curve.maxDrawdown, 2), 'below the highest sum so far'),
  )
}

/** The curves as charts draw them: of all signals, and by symbol. */
const sumsOf = ({ times, total, drawdown, symbols }) => ({
  label: 'Running sum of results after costs, of all signals and by symbol',
  times,
  lines: [
    { name: 'all', swatch: 'ink', width: 2.5, values: total },
    ...symbols.map(({ symbol, values }, at) => ({ name: symbol ?? 'other symbols', swatch: `c${at}`, width: 1.5, values })),
  ],
  drawdown,
  fallen: 'below its peak by',
  unit: PERCENT,
})

const resultsSection = ({ signals, filter }) => {
  const only = filterWords(filter)
  const parts = [only && paragraph(only, 'note only'), verdict(signals)]
  if (signals.conservative.length > 0) {
    parts.push(paragraph(`Conservative mode (${signals.conservative.join(', ')}): ${signals.conservativeReason}. Bets need a higher probability of success than usual until results recover.`, 'verdict warn'))
  }
  if (signals.figures.closedSignals === 0) return section('results', 'Results', ...parts)
  const { results, figures } = signals
  const [title, span] = results.weeksASpan === 1 ? ['Success by week', 'one week'] : [`Success, ${results.weeksASpan} weeks at a time`, `${results.weeksASpan} weeks`]
  const line = figures.breakEvenRate == null ? '' : ' The dashed line is the break-even of all closed signals: below it, wins do not pay for losses and costs.'
  const legend = element('div', { className: 'legend' })
  const sums = sumsOf(results.curve)
  parts.push(
    tiles(signals),
    element('h3', {}, title),
    boxed((box) => drawSuccess(box, results, figures.breakEvenRate)),
    paragraph(`A dot is the success rate of the signals closed in ${span}; the vertical line is its 95 % interval. It is long if few signals closed, and too short if signals were open at the same time.${line}`),
    successTable(results),
    element('h3', {}, 'Running sum of results, after costs'),
    legend,
    boxed((box) => drawSums(box, legend, sums)),
    paragraph(`Percent of the entry price, added up signal by signal, minus the costs of each, ${percent(costsOf(figures), 2)} on average: the result of the same stake on every signal, with nothing reinvested. Symbols can be switched on and off.`),
    sumsTable('sums', sums),
    element('h3', {}, 'Drawdown'),
    boxed((box) => drawDrawdown(box, sums)),
    paragraph('How far the sum of all results lies below its highest point so far, in percentage points.'),
    ...ratios(signals),
  )
  return section('results', 'Results', ...parts)
}

const ratios = ({ figures: f, holdingTimes: { wins, losses }, exposure }) => {
  const ratio = (n) => (n == null ? '–' : fixed(n, 2))
  const row = (name, value, meaning) => (value == null ? null : [name, value, meaning])
  const held = (name, time) => time && row(`Held: ${name}`, duration(time.medianMs), `median time until closed; mean ${duration(time.meanMs)}`)
  const streak = f.currentStreak
  const rows = [
    f.averageR != null && row('Mean R', ratio(f.averageR), `profit after costs in units of the risk at entry; ${fixed(f.totalR, 1)} in all, of ${count(f.signalsWithStop, 'signal')} with a stop`),
    row('SQN', ratio(f.sqn), 'system quality number (Van Tharp): mean R to its spread, times √n, n up to 100; from 30 signals with a stop on'),
    row('Sharpe', ratio(f.sharpeRatio), `of a year, by calendar day${f.sharpeInterval ? `; 95 %: ${ratio(f.sharpeInterval.low)} to ${ratio(f.sharpeInterval.high)}` : '; from 90 days on'}`),
    row('Sortino', ratio(f.sortinoRatio), 'the same, with losses only as the risk; from 90 days and 10 days with a loss on'),
    row('Calmar', ratio(f.calmarRatio), 'profit of a year to the deepest fall; from 180 days on'),
    row('Streaks', `${whole(f.longestSuccessStreak)} / ${whole(f.longestFailureStreak)}`, `most successes and most failures in a row; now ${streak > 0 ? count(streak, 'success', 'successes') : count(-streak, 'failure')}`),
    row('Filled', f.fillRate == null ? null : percent(f.fillRate), `of the signals that waited for their entry; ${whole(f.pendingSignals)} wait, ${whole(f.cancelledSignals)} cancelled`),
    held('wins', wins),
    held('losses', losses),
    exposure && row('Exposure', percent(exposure.openTimePercent), `of the time with an open signal; ${fixed(exposure.averageOpen, 2)} open on average`),
  ]
  return [
    element('h3', {}, 'Ratios, streaks and times'),
    table('Ratios, streaks and times', [['', 'tight'], ['value', 'number'], ['meaning', 'text']], rows.filter(Boolean)),
    paragraph(`After costs. Days are counted from the first closing to the last (${whole(f.spanDays)}); 30 need a closing. Below such counts a ratio would mostly be luck, and is left out.`),
  ]
}

const bySymbol = ({ bySymbol: rows, byTimeframe, byStrategy, bySignalType, byMonth, moreSymbols, moreStrategies, moreMonths, followed }) => {
  // The first columns are visible on a phone.
  const row = ({ name, ...f }) => [
    name,
    whole(f.closedSignals),
    ...(f.closedSignals === 0
      ? ['–', '–', '–', '–', '–']
      : [result(f.closedSignals * f.expectancy), percent(f.successRate), result(f.expectancy, 3), range(f.successInterval), percent(f.breakEvenRate)]),
    f.totalR == null ? '–' : fixed(f.totalR, 1),
    whole(f.activeSignals),
  ]
  const columns = (first) => [[first, 'tight'], ['closed', 'number'], ['sum', 'number'], ['success', 'number'], ['mean result', 'number'], ['95 % interval', 'number'], ['break-even', 'number'], ['sum of R', 'number'], ['open', 'number']]
  return section(
    'symbols',
    'By symbol',
    paragraph('Results are percent of the entry price, after costs. If the interval is wide, too few signals have closed to compare symbols.'),
    table('Results by symbol', columns('symbol'), rows.map(row)),
    moreSymbols > 0 ? paragraph(`${count(moreSymbols, 'more symbol')} with fewer closed signals.`) : null,
    byTimeframe.length > 1 ? [element('h3', {}, 'By timeframe'), table('Results by timeframe', columns('timeframe'), byTimeframe.map(row))] : null,
    byStrategy.length > 0 ? [element('h3', {}, 'By strategy'), table('Results by strategy', columns('strategy'), byStrategy.map(row))] : null,
    moreStrategies > 0 ? paragraph(`${count(moreStrategies, 'more strategy', 'more strategies')} with fewer closed signals.`) : null,
    bySignalType.length > 1 ? [element('h3', {}, 'BUY and SELL'), table('Results of BUY and SELL', columns('signal'), bySignalType.map(row))] : null,
    byMonth.length > 0 ? [element('h3', {}, 'By month'), table('Results by month', columns('month (UTC)'), byMonth.map(row))] : null,
    moreMonths > 0 ? paragraph(`${count(moreMonths, 'earlier month')}.`) : null,
    followed.totalSignals > 0
      ? [
          element('h3', {}, 'Followed, not traded'),
          paragraph('Signals recorded with `taken: false`. Prices close them and they are learned from, but they count in no other figure of this page.'),
          table('Followed, not traded', columns(''), [row({ name: 'followed', ...followed })]),
        ]
      : null,
  )
}

// Predictions made before the outcome

const KINDS = { adds: 'good', betterProbabilities: 'good', costs: 'bad', worseProbabilities: 'bad', noDifference: 'warn' }

const scorecard = ({ scorecard: card, making }) => {
  if (!card && making.includes('scorecard')) return beingMade('scorecard', 'Predictions and outcomes')
  if (!card?.overall) return null
  const { overall, finding, verdict: words } = card
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
  const columns = (first) => [[first, 'tight'], ...['closed', 'take adds', 'R of all', 'take', 'left', 'success', 'predicted', 'log loss against base rate', 'against prior'].map((head) => [head, 'number'])]
  const parts = (heading, first, rows) => (rows.length > 0 ? [element('h3', {}, heading), table(`Predictions and outcomes, ${heading.toLowerCase()}`, columns(first), rows.map(row))] : null)
  const bins = card.calibration.map(({ said, came: { signals, mean: share, interval } }) => [
    percent(100 * said),
    percent(100 * share),
    interval ? range({ low: 100 * interval.low, high: 100 * interval.high }) : '–',
    whole(signals),
  ])
  return section(
    'scorecard',
    'Predictions and outcomes',
    paragraph(sentence(words), `verdict ${KINDS[finding] ?? ''}`),
    paragraph(`The predictions of \`assess\` for ${count(overall.signals, 'closed signal')}, stored when they were recorded${overall.followed > 0 ? `; ${whole(overall.followed)} of them were followed and not traded` : ''}. R is the profit after costs in units of the risk at entry. A log loss below 0 is better than the base rate, or than the prediction from candles alone. Brackets are 95 % intervals, in which signals given at the same time count as one.`),
    table('Predictions and outcomes of all signals', columns(''), [row({ name: 'all', score: overall })]),
    element('h3', {}, 'Predicted probabilities, and how often they came true'),
    table('Predicted probabilities and how often they came true', [['predicted', 'number'], ['succeeded', 'number'], ['95 % interval', 'number'], ['closed', 'number']], bins),
    parts('By strategy', 'strategy', card.byStrategy),
    parts('By symbol', 'symbol', card.bySymbol),
    parts('By month', 'month', card.byMonth),
  )
}

// What other levels would have brought

const ADVICE = { better: 'good', noneBetter: '' }

const levelsAdvice = ({ advice, making }) => {
  if (!advice) return making.includes('advice') ? beingMade('advice', 'Stops and targets') : null
  const { verdict: words, finding, strategies, older, moreStrategies } = advice
  const times = (n) => (n === 1 ? '' : `× ${n}`)
  const row = ({ stop, target, expiry, meanR, differenceR, interval, turned, successShare, meanHoldingMs }) => [
    [stop, target, expiry].every((n) => n === 1) ? 'as given' : 'changed',
    times(stop),
    times(target),
    times(expiry),
    mean({ mean: meanR }, 2),
    differenceR == null ? '–' : mean({ mean: differenceR, interval }, 3),
    turned == null ? '–' : whole(turned),
    percent(100 * successShare),
    duration(meanHoldingMs),
  ]
  const columns = [['levels', 'tight'], ...['stop', 'target', 'expiry', 'R a signal', 'difference', 'turned', 'success', 'open for'].map((head) => [head, 'number'])]
  const part = (one) => {
    const { withoutStop, managed, notCovered } = one.leftOut
    const leftOut = withoutStop + managed + notCovered > 0 ? ` Left out: ${whole(withoutStop)} without a stop, ${whole(managed)} with more than levels, and ${whole(notCovered)} that stored candles do not cover until they could be over.` : ''
    const unclear = one.unclear > 0 ? ` ${whole(one.unclear)} touched stop and target within one candle: they count as stopped, but as successes where an alternative is compared with them.` : ''
    return [
      strategies.length > 1 ? element('h3', {}, one.strategy ?? 'Signals without a strategy') : null,
      strategies.length > 1 ? paragraph(sentence(one.verdict), `verdict ${ADVICE[one.finding] ?? ''}`) : null,
      one.excursions?.words.map((text) => paragraph(sentence(text))),
      paragraph(`${count(one.signals, 'signal')} replayed.${leftOut}${unclear}`),
      one.own ? element('details', { id: `levels-${one.strategy ?? ''}` }, element('summary', {}, `All ${one.alternatives.length} alternatives`), table(`Other stops, targets and expiries${strategies.length > 1 ? `: ${one.strategy ?? 'signals without a strategy'}` : ''}`, columns, [one.own, ...one.alternatives].map(row))) : null,
    ].flat()
  }
  return section(
    'advice',
    'Stops and targets',
    paragraph(sentence(words), `verdict ${ADVICE[finding] ?? ''}`),
    paragraph('Closed signals replayed on the stored candles with other stops, targets and expiries. `× 2` is twice as far from the entry, or twice as long. R is the profit after costs in units of the risk of those levels: what a trader earns who risks the same amount on every trade. Brackets are 95 % intervals that hold for all alternatives together. Turned are the signals that would have ended differently; with fewer than ten of them an alternative is not judged.'),
    strategies.flatMap(part),
    older > 0 ? paragraph(`${count(older, 'older signal was', 'older signals were')} not looked at.`) : null,
    moreStrategies > 0 ? paragraph(`${count(moreStrategies, 'more strategy', 'more strategies')} with fewer signals.`) : null,
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
        element('h3', {}, 'Live: the confidence of signals'),
        boxed((box) => drawCalibration(box, live, 'closed signal')),
        paragraph('Your closed signals. Signals with a confidence of 70 % should succeed 7 times in 10. For signals of the models, the confidence is the probability at entry; for others, whatever your backend stated.'),
        calibrationTable('confidence of signals', live),
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
        paragraph('Predictions of the models for bars they had not seen in training, all markets and both directions together. Labels overlap in time, so the intervals are calculated with the number of independent labels.'),
        calibrationTable('models in service', models.calibration),
      ),
    )
  }
  if (panels.length === 0) return null
  return section(
    'probabilities',
    'Do probabilities come true?',
    paragraph('Dots on the dashed line came true exactly as often as predicted. Below the line, predictions were too high; above it, too low. Dots are groups of about equal size, vertical lines 95 % intervals.'),
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

const patterns = ({ learned: { patterns: rules, of: patternsOf, need: patternsNeed }, making }) => {
  if (making.includes('learned')) return beingMade('learned', 'What was learned')
  if (rules.length === 0) {
    const why =
      patternsOf < patternsNeed
        ? `${count(patternsOf, 'signal has', 'signals have')} closed; rules are searched from ${patternsNeed} on.`
        : `In ${count(patternsOf, 'closed signal')}, no rule is stronger than chance alone would produce.`
    return section('learned', 'What was learned', paragraph(why))
  }
  const row = (rule) => [
    rule.rule,
    `${whole(rule.successes)} of ${whole(rule.count)}`,
    percent(rule.successRate),
    interval(rule),
    range(rule.successInterval),
    rule.meanR == null ? '–' : mean({ mean: rule.meanR, interval: rule.meanRInterval }, 2),
    rule.pValue.toFixed(3),
    date(rule.sinceMs),
    rule.stillHolds == null ? 'too few signals' : rule.stillHolds ? 'yes' : 'no',
  ]
  return section(
    'learned',
    'What was learned',
    paragraph(`Rules found in ${count(patternsOf, 'closed signal')}, of which ${percent(rules[0].baseRate)} succeeded (dashed mark)${rules[0].baseR == null ? '' : ` and earned ${inR(rules[0].baseR, 2)} on average`}, strongest first. R is the profit of a signal after costs in units of its risk at entry, with the 95 % interval of its mean. “By chance” is how often chance alone produces any rule as strong; only rules at 0.025 or less are shown. A rule describes what happened, not why.`),
    table('Rules found in the outcomes', [['rule', 'text'], ['succeeded', 'number'], ['success', 'number'], ['0 – 100 %'], ['95 % interval', 'number'], ['R', 'number'], ['by chance', 'number'], ['holds since', 'tight'], ['still holds', 'tight']], rules.map(row)),
  )
}
