
// The parts of a page: sections, whose charts are drawn once they are in the page and have a width.

/** Charts to draw once the sections are in the page. */
let later = []

const boxed = (draw) => {
  const box = element('div', { className: 'chart' })
  later.push(() => draw(box))
  return box
}

const section = (id, title, ...children) => element('section', { id }, element('h2', {}, title), ...children)

/** Shows the sections that `make` returns, with a link to each that has a title in `titles`. What was opened stays open. */
const show = (make, { titles, about, version }) => {
  const open = new Set([...document.querySelectorAll('details[open]')].map(({ id }) => id))
  clearCharts()
  later = []
  const sections = make().filter(Boolean)
  document.getElementById('main').replaceChildren(...sections)
  for (const id of open) document.getElementById(id)?.setAttribute('open', '')
  for (const draw of later) draw()
  const links = sections.filter(({ id }) => titles[id]).map(({ id }) => element('a', { href: `#${id}` }, titles[id]))
  document.getElementById('contents').replaceChildren(...(links.length > 1 ? links : []))
  document.getElementById('about').textContent = about
  document.getElementById('footer').textContent = `signalloop ${version}. Past results promise nothing. Plots: uPlot, MIT licence, © Leon Sorokin.`
}
