
// The page: draws its sections in order, again when the theme changes or the server has new data.

const welcome = ({ models }) =>
  section(
    'results',
    'No signals yet',
    paragraph('As soon as your backend records signals, this page shows their results: success by week and break-even, results after costs, whether probabilities come true, and what was learned.'),
    element('pre', {}, "import { feedbackTracker } from 'signalloop'\n\nawait feedbackTracker.recordSignal(signal)          // every new signal\nawait feedbackTracker.onPrice('BTCUSDT', 64250.5)   // every price: closes the signals it hits"),
    models.markets.length === 0
      ? paragraph('There is no trained model yet either: `npx signalloop train` fetches candles and trains one for each market. To see a complete example on a simulated market, without network: `npx signalloop demo --keep demo`, then `npx signalloop report --home demo`.')
      : null,
  )

const problems = (list) =>
  list.length === 0
    ? null
    : section('problems', 'Problems', list.map(({ part, code, message }) => paragraph(`${part}: ${message} [${code}]`, 'verdict bad')))

const titles = { results: 'Results', symbols: 'By symbol', latest: 'Last closed', scorecard: 'Predictions', advice: 'Levels', probabilities: 'Probabilities', learned: 'Learned', models: 'Models', candles: 'Candles', scheduler: 'Scheduler' }

const sectionsOf = (report) => {
  const { signals } = report
  const closed = signals?.figures.closedSignals > 0
  return [
    problems(report.problems),
    signals ? resultsSection(signals) : welcome(report),
    signals && bySymbol(signals),
    closed && latest(signals),
    signals && scorecard(signals),
    report.advice && levelsAdvice(report.advice),
    probabilities(report),
    closed && patterns(signals),
    modelsSection(report.models),
    candles(report.coverage),
    scheduler(report.scheduler, report.runs),
  ]
}

const draw = (report) => show(() => sectionsOf(report), { titles, about: `${report.home}, ${moment(report.generatedMs)} UTC`, version: report.version })

let report = JSON.parse(document.getElementById('data').textContent)
draw(report)
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => draw(report))

// A served page polls the server, which answers 304 as long as nothing has changed.

const EVERY_MS = 2000

const watch = () => {
  const live = document.getElementById('live')
  let tag
  const tell = (text, lost) => {
    live.textContent = text
    live.classList.toggle('lost', lost)
    live.hidden = false
  }
  const ask = async () => {
    // A hidden page does not poll.
    if (document.hidden) return
    try {
      const answer = await fetch('?data', { headers: tag ? { 'If-None-Match': tag } : {}, cache: 'no-store' })
      if (answer.status === 200) {
        tag = answer.headers.get('ETag')
        const news = await answer.json()
        if (news.generatedMs !== report.generatedMs) {
          report = news
          draw(report)
        }
      } else if (answer.status !== 304) {
        throw new Error(`the server answered ${answer.status}`)
      }
      tell('live', false)
    } catch (error) {
      tell(`no connection, trying again (${error.message})`, true)
    }
  }
  const forever = () => ask().finally(() => setTimeout(forever, EVERY_MS))
  forever()
  document.addEventListener('visibilitychange', ask)
}

if (document.body.dataset.place === 'served') watch()
