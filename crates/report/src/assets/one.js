
// Single signals: where an open one stands, how a closed one ended, and what moved the probability that was stated of it.

const OUTCOMES = {
  TOOK_PROFIT: ['took profit', 'good'],
  SUCCESS: ['closed with a profit', 'good'],
  STOPPED_OUT: ['stopped out', 'bad'],
  FAILURE: ['closed without profit', 'bad'],
}
const STATUSES = { PENDING: ['waits for its entry', 'warn'], OPEN: ['open', 'good'] }

/** A price as it was given, with separators. */
const price = (n) => (n == null ? null : n.toLocaleString('en', { maximumSignificantDigits: 10 }))
const chance = (p) => percent(100 * p)

// The waterfall

const STEPS = {
  levels: ['Stop and target', 'what their distances imply of a price without drift'],
  candles: ['Candles', 'the model of candles'],
  baseRates: ['Similar signals', 'of its strategy, symbol, timeframe and direction'],
  process: ['Indicators: process', 'Gaussian process'],
  boosting: ['Indicators: boosting', 'boosted trees'],
  forest: ['Indicators: forest', 'randomised trees'],
  limit: ['Limit', 'no probability is stated below 2 % or above 98 %'],
}

/** By how many percentage points: `+3.2`. */
const points = (n) => `${n < 0 ? '−' : '+'}${Math.abs(n).toFixed(1)}`

/** A table of the steps from even odds to the stated probability; a bar of each reaches from the probability before it to that after it. */
const waterfall = ({ steps, interval: [low, high] }) => {
  const ends = steps.map(({ probability }) => 100 * probability)
  const all = [50, ...ends, 100 * low, 100 * high]
  const [from, to] = [Math.max(0, Math.floor(Math.min(...all) - 2)), Math.min(100, Math.ceil(Math.max(...all) + 2))]
  const at = (p) => (100 * (p - from)) / (to - from)
  const track = (...parts) => element('td', {}, element('div', { className: 'fall', 'aria-hidden': 'true' }, parts))
  const row = ({ source }, index) => {
    const [before, after] = [index === 0 ? 50 : ends[index - 1], ends[index]]
    const bar = placed(element('i', { className: after < before ? 'down' : 'up' }), at(Math.min(before, after)), at(Math.max(before, after)))
    const [name, what] = STEPS[source] ?? [source, '']
    return element(
      'tr',
      {},
      element('th', { scope: 'row' }, name, element('small', {}, what)),
      track(bar, placed(element('b'), at(after))),
      element('td', { className: 'number' }, points(after - before)),
      element('td', { className: 'number' }, percent(after)),
    )
  }
  const start = element('tr', {}, element('th', { scope: 'row' }, 'Even odds'), track(placed(element('b'), at(50))), element('td', { className: 'number' }, ''), element('td', { className: 'number' }, percent(50)))
  const stated = ends.at(-1)
  const end = element(
    'tr',
    { className: 'sum' },
    element('th', { scope: 'row' }, 'Stated', element('small', {}, `95 %: ${range({ low: 100 * low, high: 100 * high })}`)),
    track(placed(element('i', { className: 'whole' }), at(100 * low), at(100 * high)), placed(element('b'), at(stated))),
    element('td', { className: 'number' }, points(stated - 50)),
    element('td', { className: 'number' }, percent(stated)),
  )
  const heads = element('tr', {}, element('th', { scope: 'col' }, 'step'), element('th', { scope: 'col' }, `${from} – ${to} %`), element('th', { scope: 'col', className: 'number' }, 'points'), element('th', { scope: 'col', className: 'number' }, 'after it'))
  return element(
    'table',
    { className: 'waterfall' },
    element('caption', {}, 'What moved the probability of success'),
    element('thead', {}, heads),
    element('tbody', {}, start, steps.map(row), end),
  )
}

const said = (one) => {
  if (!one) return paragraph('Nothing was stated of it: it was recorded before anything was known, or together with its end.')
  const { steps, probability, interval: [low, high], expectedR, take, outcomes } = one
  const words = `When it was recorded: ${chance(probability)} (${range({ low: 100 * low, high: 100 * high })}) to succeed${expectedR == null ? '' : `, ${inR(expectedR)} to expect after costs`}; advice: ${take ? 'take' : 'leave'}. It knew ${count(outcomes, 'closed signal')}.`
  return [
    paragraph(words),
    steps.length > 0
      ? [waterfall(one), paragraph('Each step adds to the log odds of success as much as its source says and its past predictions justify; points are what that is worth at its place, in percentage points. They add up.')]
      : paragraph('What moved it was not stored by the version that recorded it.'),
  ].flat()
}

// Managed signals

const ENTRIES = { market: 'at once', limit: 'at its price or better', stop: 'at its price or worse' }

const trailing = ({ by, from }) => {
  const [[kind, n]] = Object.entries(by)
  const behind = kind === 'percent' ? percent(n, 2) : kind === 'atr' ? `${fixed(n, 2)} average true ranges` : price(n)
  return `${behind} behind the best price since the entry; it follows from ${price(from)} on`
}

const managed = (one) => {
  if (!one) return null
  const { entryType, zone, entryExpiresMs, firstStop, reached, targets, left, trail, events, earlierEvents } = one
  const part = ({ price: at, share }) => `${price(at)} (${fixed(share, 0)} %)`
  return [
    facts([
      ['how it is entered', `${ENTRIES[entryType]}${zone ? `, between ${price(zone.low)} and ${price(zone.high)}` : ''}`],
      ['waits until', entryExpiresMs == null ? null : moment(entryExpiresMs)],
      ['stop at entry', price(firstStop)],
      ['targets hit', reached.length > 0 ? reached.map(part).join(', ') : null],
      ['targets to come', targets.length > 0 ? targets.map(part).join(', ') : null],
      ['open part', percent(left, 0)],
      ['trailing stop', trail ? trailing(trail) : null],
    ]),
    events.length > 0
      ? [
          paragraph(`What happened${earlierEvents > 0 ? `, after ${count(earlierEvents, 'earlier event')}` : ''}:`),
          element('ol', { className: 'events' }, events.map(({ atMs, what }) => element('li', {}, element('span', { className: 'soft' }, moment(atMs)), ` ${what}`))),
        ]
      : null,
  ].flat()
}

// Cards

const card = (row) => {
  const { symbol, timeframe, signalType, strategy, taken, status, givenMs, expiresMs, entry, stop, target, end } = row
  const summary = [
    element('b', {}, `${symbol} ${signalType ?? ''}`),
    ' ',
    end ? badge(...(OUTCOMES[end.outcome] ?? [end.outcome.toLowerCase(), ''])) : badge(...STATUSES[status]),
    row.said ? badge(`${chance(row.said.probability)}, ${row.said.take ? 'take' : 'leave'}`) : null,
    taken ? null : badge('not traded'),
    ' ',
    end?.profit == null ? null : result(end.profit),
    element('span', { className: 'soft' }, ` ${[strategy, end ? `closed ${moment(end.atMs)}` : `given ${moment(givenMs)}`].filter(Boolean).join(', ')}`),
  ].filter((part) => part != null)
  const fill = () =>
    [
      facts([
        ['id', row.id],
        ['timeframe', timeframe],
        ['given', moment(givenMs)],
        ['expires', expiresMs == null ? null : moment(expiresMs)],
        [status === 'PENDING' ? 'entry to come' : 'entry', price(entry)],
        ['stop', price(stop)],
        ['next target', price(target)],
        ['result', end?.realizedR == null ? null : inR(end.realizedR)],
      ]),
      managed(row.managed),
      said(row.said),
    ].flat()
  return unfolding(`signal-${row.id}`, summary, fill, 'signal')
}

const openSignals = ({ listed: { open, moreOpen } }) => {
  if (open.length === 0) return null
  const waiting = open.filter(({ status }) => status === 'PENDING').length
  const about = `${count(open.length + moreOpen, 'signal is', 'signals are')} open${waiting > 0 ? `; ${moreOpen > 0 ? `of those listed, ` : ''}${whole(waiting)} ${waiting === 1 ? 'waits' : 'wait'} for the entry` : ''}.`
  return section(
    'open',
    'Open signals',
    paragraph(`${about} Each opens to show where it stands, and what moved the probability that was stated when it was recorded.`),
    open.map(card),
    moreOpen > 0 ? paragraph(`${whole(moreOpen)} more, recorded earlier, are not listed.`) : null,
  )
}

const latest = ({ listed: { closed } }) => {
  if (closed.length === 0) return null
  const row = ({ end, symbol, signalType, timeframe }) => [moment(end.atMs), symbol, result(end.profit), badge(...OUTCOMES[end.outcome]), signalType, timeframe]
  const told = closed.filter(({ said: forecast, managed: life }) => forecast || life)
  return section(
    'latest',
    'Last closed',
    table('Signals that closed last', [['closed (UTC)', 'tight'], ['symbol', 'tight'], ['result', 'number'], ['outcome'], ['signal'], ['timeframe']], closed.map(row)),
    told.length > 0 ? [element('h3', {}, 'What was said of them, and what moved it'), ...told.map(card)] : null,
  )
}
