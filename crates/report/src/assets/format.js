
// Formats numbers and times, and makes elements. Text is always inserted as text, never as HTML.

const DAY = 86_400_000

/** `1,234` */
const whole = (n) => n.toLocaleString('en')

/** A number with the given digits after the point; from a thousand on without digits. */
const fixed = (n, digits) => {
  const shown = Math.abs(n) < 1000 ? digits : 0
  return n.toLocaleString('en', { minimumFractionDigits: shown, maximumFractionDigits: shown }).replace('-', '−')
}

/** `52.3 %`; `–` for a missing value. The space does not break. */
const percent = (n, digits = 1) => (n == null ? '–' : `${fixed(n, digits)}\u00a0%`)

/** `+0.12 %` */
const signed = (n, digits = 2) => (n == null ? '–' : `${n < 0 ? '−' : '+'}${percent(Math.abs(n), digits)}`)

/** `+0.12 R` */
const inR = (n, digits = 2) => (n == null ? '–' : `${n < 0 ? '−' : '+'}${fixed(Math.abs(n), digits)}\u00a0R`)

/** `38.7–78.1 %` */
const range = ({ low, high }) => `${low.toFixed(1)}–${high.toFixed(1)}\u00a0%`

/** `+0.12 [−0.03, +0.27]`: a mean with its interval, where it has one. */
const mean = (one, digits) => {
  if (one == null) return '–'
  const shown = (n) => `${n < 0 ? '−' : '+'}${Math.abs(n).toFixed(digits)}`
  return `${shown(one.mean)}${one.interval ? ` [${shown(one.interval.low)}, ${shown(one.interval.high)}]` : ''}`
}

/** Words as a sentence of their own. */
const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`

/** `1 signal`, `2 signals` */
const count = (n, noun, plural = `${noun}s`) => `${whole(n)} ${n === 1 ? noun : plural}`

/** `15 Sep 2025`, UTC */
const date = (ms) =>
  new Date(ms).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })

/** `15 Sep 2025, 14:00`, UTC */
const moment = (ms) =>
  `${date(ms)}, ${new Date(ms).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: 'UTC' })}`

/** A duration for people: `3 h`, `2 days`. */
const duration = (ms) => {
  if (ms >= 2 * DAY) return `${Math.round(ms / DAY)} days`
  if (ms >= 3_600_000) return `${Math.round(ms / 360_000) / 10} h`
  if (ms >= 60_000) return `${Math.round(ms / 60_000)} min`
  return ms < 1000 ? 'under 1 s' : `${Math.round(ms / 1000)} s`
}

/** An element with a class, attributes and children: elements or text. */
const element = (tag, { className = '', ...attributes } = {}, ...children) => {
  const made = document.createElement(tag)
  if (className) made.className = className
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children.flat().filter((child) => child != null && child !== ''))
  return made
}

/** A paragraph; text between backticks is code. */
const paragraph = (text, className = 'caption') =>
  element('p', { className }, text.split('`').map((part, at) => (at % 2 === 1 ? element('code', {}, part) : part)))

const badge = (text, kind = '') => element('span', { className: `badge ${kind}` }, text)

/** A number that is good above zero and bad below. */
const result = (n, digits) =>
  element('span', { className: n > 0 ? 'good-text' : n < 0 ? 'bad-text' : '' }, signed(n, digits))

/**
 * A table with a caption, which is there for those who do not see where it stands. It scrolls sideways by itself where it does not fit; one with text in it, which would be out of sight on a phone, puts
 * the cells of a row below each other there. A column is `[heading, kind]`, the kind being `number`, `text`, `tight` or nothing;
 * a cell is text, an element, or nothing. The first cell names its row, unless it is a number.
 */
const table = (caption, columns, rows) => {
  // A heading without words would be an empty one to a screen reader.
  const heads = columns.map(([heading, kind]) => (heading ? element('th', { className: kind ?? '', scope: 'col' }, heading) : element('td', {})))
  const cell = (content, at) => {
    const [heading, kind = ''] = columns[at]
    const names = at === 0 && kind !== 'number'
    const attributes = { className: kind, 'data-heading': heading, ...(names ? { scope: 'row' } : {}) }
    return element(names ? 'th' : 'td', attributes, element('div', {}, content ?? '–'))
  }
  const body = rows.map((row) => element('tr', {}, row.map(cell)))
  const className = columns.some(([, kind]) => kind === 'text') ? 'stacks' : ''
  const made = element('table', { className }, element('caption', { className: 'unseen' }, caption), element('thead', {}, element('tr', {}, heads)), element('tbody', {}, body))
  return element('div', { className: 'scroll', 'data-name': caption }, made)
}

/** Details that are filled when they are opened for the first time. `id` keeps them open when the page is drawn anew. */
const unfolding = (id, summary, fill, className = '') => {
  const made = element('details', { id, className }, element('summary', {}, summary))
  const filled = () => {
    if (!made.open || made.childElementCount > 1) return
    made.append(...[fill()].flat().filter(Boolean))
    markScrolling()
  }
  made.addEventListener('toggle', filled)
  return made
}

/** Times, prices and words below each other: `[name, value]`; those without a value are left out. */
const facts = (list) => {
  const known = list.filter(([, value]) => value != null)
  return element('dl', { className: 'facts' }, known.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))))
}

/** Places an element between two points of its track, both percent of the track's width. */
const placed = (made, from, to) => {
  made.style.left = `${from}%`
  if (to !== undefined) made.style.width = `${Math.max(0, to - from)}%`
  return made
}
