
// The page: draws its sections in order, again when the theme changes or the server has new data.

const welcome = ({ models }) =>
  section(
    'results',
    'No signals yet',
    paragraph('As soon as your backend records signals, this page shows their results: success by week and break-even, results after costs, whether probabilities come true, and what was learned.'),
    element('pre', { tabindex: '0', role: 'region', 'aria-label': 'How to record signals' }, "import { feedbackTracker } from 'signalloop'\n\nawait feedbackTracker.recordSignal(signal)          // every new signal\nawait feedbackTracker.onPrice('BTCUSDT', 64250.5)   // every price: closes the signals it hits"),
    models.markets.length === 0
      ? paragraph('There is no trained model yet either: `npx signalloop train` fetches candles and trains one for each market. To see a complete example on a simulated market, without network: `npx signalloop demo --keep demo`, then `npx signalloop report --home demo`.')
      : null,
  )

const problems = (list) =>
  list.length === 0
    ? null
    : section('problems', 'Problems', list.map(({ part, code, message }) => paragraph(`${part}: ${message} [${code}]`, 'verdict bad')))

const titles = { results: 'Results', open: 'Open', latest: 'Last closed', symbols: 'By symbol', scorecard: 'Predictions', advice: 'Levels', probabilities: 'Probabilities', learned: 'Learned', replays: 'Replays', models: 'Models', candles: 'Candles', scheduler: 'Scheduler' }

const sectionsOf = (report) => {
  const { signals, making } = report
  const first = signals ? resultsSection(report) : making.includes('signals') ? beingMade('results', 'Results') : welcome(report)
  return [
    problems(report.problems),
    first,
    signals && openSignals(signals),
    signals && latest(signals),
    signals && bySymbol(signals),
    signals && scorecard(report),
    signals && levelsAdvice(report),
    probabilities(report),
    signals && patterns(report),
    replays(report.replays),
    modelsSection(report.models),
    candles(report.coverage),
    scheduler(report.scheduler, report.runs),
  ]
}

const isServed = document.body.dataset.place === 'served'

let report = JSON.parse(document.getElementById('data').textContent)

const draw = () => {
  show(() => sectionsOf(report), { titles, about: `${report.home}, ${moment(report.generatedMs)} UTC`, version: report.version })
  if (isServed) drawFilters(report, choose)
}

// A served page polls the server, which answers 304 as long as nothing has changed.

const EVERY_MS = 2000
/** While parts are being made, they are asked for more often. */
const SOON_MS = 300

/** The tag of what is shown, and how often another address was asked for. */
let tag
let turn = 0

/** Says how the page stands to its server; only news, which screen readers read out. */
const tell = (text, lost) => {
  const live = document.getElementById('live')
  if (live.textContent !== text) live.textContent = text
  live.classList.toggle('lost', lost)
  live.hidden = false
}

const ask = async () => {
  // A hidden page does not poll.
  if (document.hidden) return
  const asked = turn
  try {
    const query = location.search.slice(1)
    const answer = await fetch(`?data${query && `&${query}`}`, { headers: tag ? { 'If-None-Match': tag } : {}, cache: 'no-store' })
    const news = answer.status === 200 ? await answer.json() : null
    const refusal = answer.status === 400 ? await answer.text() : null
    // Meanwhile something else was asked for.
    if (asked !== turn) return
    if (refusal) return tell(refusal.trim(), true)
    if (news) {
      const isNew = tag !== undefined || news.generatedMs !== report.generatedMs || news.making.length !== report.making.length
      tag = answer.headers.get('ETag')
      report = news
      if (isNew) draw()
    } else if (answer.status !== 304) {
      throw new Error(`the server answered ${answer.status}`)
    }
    tell('live', false)
  } catch (error) {
    if (asked === turn) tell(`no connection, trying again (${error.message})`, true)
  }
}

/** Shows what the address asks for. */
const follow = () => {
  turn += 1
  tag = ''
  return ask()
}

const choose = (query) => {
  history.pushState(null, '', query ? `?${query}` : location.pathname)
  follow()
}

draw()
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)

if (isServed) {
  const forever = () => ask().finally(() => setTimeout(forever, report.making.length > 0 ? SOON_MS : EVERY_MS))
  forever()
  document.addEventListener('visibilitychange', ask)
  addEventListener('popstate', () => {
    document.activeElement?.blur()
    follow()
  })
} else if (report.signals) {
  document.getElementById('filters').replaceWith(paragraph('This file shows all signals. The live view, `npx signalloop dashboard`, also shows those of a strategy, a symbol, a direction or a period.'))
}
