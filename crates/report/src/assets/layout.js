
// The parts of a page: sections, whose charts are drawn once they are in the page and have a width.

/** Charts to draw once the sections are in the page. */
let later = []

const boxed = (draw) => {
  const box = element('div', { className: 'chart' })
  later.push(() => draw(box))
  return box
}

const section = (id, title, ...children) => element('section', { id }, element('h2', {}, title), ...children)

/** Says that a part will come. */
const beingMade = (id, title) => section(id, title, paragraph('This part is read from the log and is being made. It appears here by itself.'))

const CONTROLS = 'a, button, summary, [tabindex]'

/** Finds the control that has the focus once the page is drawn anew: the next one of its kind in the details, or the section, that it is in. */
const focusPlace = () => {
  const { activeElement: active } = document
  const home = active?.closest('main [id]')
  if (!home) return () => null
  const index = [...home.querySelectorAll(CONTROLS)].indexOf(active)
  return () => document.getElementById(home.id)?.querySelectorAll(CONTROLS)[index]
}

/** Lets the keyboard reach the tables that scroll sideways, and no others. */
const markScrolling = () => {
  for (const box of document.querySelectorAll('.scroll')) {
    const scrolls = box.scrollWidth > box.clientWidth
    const marks = { tabindex: '0', role: 'region', 'aria-label': `${box.dataset.name}, scrolls sideways` }
    for (const [name, value] of Object.entries(marks)) {
      if (scrolls) box.setAttribute(name, value)
      else box.removeAttribute(name)
    }
  }
}

addEventListener('resize', markScrolling)
// A table in details has a width once they are open.
addEventListener('toggle', markScrolling, true)

/** Shows the sections that `make` returns, with a link to each that has a title in `titles`. What was opened stays open, and the focus where it was. */
const show = (make, { titles, about, version }) => {
  const open = [...document.querySelectorAll('details[open]')].map(({ id }) => id)
  const refocus = focusPlace()
  clearCharts()
  later = []
  const sections = make().filter(Boolean)
  document.getElementById('main').replaceChildren(...sections)
  for (const draw of later) draw()
  for (const id of open) {
    const details = document.getElementById(id)
    if (!details) continue
    details.open = true
    // Now, so that the focus finds what they hold.
    details.dispatchEvent(new Event('toggle'))
  }
  markScrolling()
  refocus()?.focus({ preventScroll: true })
  const links = sections.filter(({ id }) => titles[id]).map(({ id }) => element('a', { href: `#${id}` }, titles[id]))
  document.getElementById('contents').replaceChildren(...(links.length > 1 ? links : []))
  document.getElementById('about').textContent = about
  document.getElementById('footer').textContent = `signalloop ${version}. Past results promise nothing. Plots: uPlot, MIT licence, © Leon Sorokin.`
}
