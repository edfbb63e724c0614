
// Which signals the live view shows: the form changes the address, and the address says what to ask the server for.

const FILTERS = { strategy: 'Strategy', symbol: 'Symbol', signalType: 'Direction', since: 'From (UTC)', until: 'Until (UTC)' }

const dayOf = (ms) => new Date(ms).toISOString().slice(0, 10)

/** What the server was asked for, as the form shows it. The end of a period is exclusive, and its last day is shown. */
const chosenOf = ({ strategy, symbol, signalType, sinceMs, untilMs }) => ({
  strategy,
  symbol,
  signalType,
  since: sinceMs == null ? undefined : dayOf(sinceMs),
  until: untilMs == null ? undefined : dayOf(untilMs - 1),
})

/** A sentence about what is shown; nothing if that is everything. */
const filterWords = (filter) => {
  const { strategy, symbol, signalType, since, until } = chosenOf(filter)
  const parts = [strategy && `strategy ${strategy}`, symbol, signalType, since && `from ${since}`, until && `until ${until}`].filter(Boolean)
  const period = since || until ? ' Figures are of signals that closed then, predictions and levels of signals given then.' : ''
  return parts.length === 0 ? null : `Only ${parts.join(', ')}.${period} What was learned, replays, models, candles and the scheduler are of the whole home.`
}

/** The choices of a list: all, those that there are, and one that is chosen though it is not among them. */
const choices = (names, chosen) => {
  const all = chosen && !names.includes(chosen) ? [chosen, ...names] : names
  return [['', 'all'], ...all.map((name) => [name, name])].map(([value, text]) => element('option', value === (chosen ?? '') ? { value, selected: '' } : { value }, text))
}

/** Fills the form anew, unless it is being used; `apply` gets the new query of the address. */
const drawFilters = ({ signals, filter }, apply) => {
  const form = document.getElementById('filters')
  form.hidden = !signals
  if (!signals || form.contains(document.activeElement)) return
  const chosen = chosenOf(filter)
  const lists = { strategy: signals.strategies, symbol: signals.symbols, signalType: ['BUY', 'SELL'] }
  const field = ([name, words]) => {
    const id = `filter-${name}`
    const control = lists[name] ? element('select', { id, name }, choices(lists[name], chosen[name])) : element('input', { id, name, type: 'date', value: chosen[name] ?? '' })
    return element('div', {}, element('label', { for: id }, words), control)
  }
  const clear = element('button', { type: 'button' }, 'Show all')
  clear.addEventListener('click', () => {
    for (const control of form.elements) if (control.name) control.value = ''
    apply('')
  })
  form.replaceChildren(...Object.entries(FILTERS).map(field), clear)
  form.onsubmit = (event) => event.preventDefault()
  form.onchange = () => apply(new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== '')).toString())
}
