// Draws the week-by-week table of docs/learning.md as docs/learning-curve.svg, so that the picture is of the figures that stand
// there:
//
//     node benches/learning/curve.mjs
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const PAGE = fileURLToPath(new URL('../../docs/learning.md', import.meta.url))
const PICTURE = fileURLToPath(new URL('../../docs/learning-curve.svg', import.meta.url))
const OURS = 'signalloop'
/** The rules turn round at the start of this week. */
const FLIP = 8
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#b8549a', '#b48a00', '#3a9fd6', '#7a5cc2', '#6b7280', '#a3a9b3', '#c0392b']
const [WIDTH, HEIGHT] = [760, 440]
const PLOT = { left: 52, right: 748, top: 28, bottom: 300 }

/** `[{ name, shares }]`, one share of the possible gain a week, in percent. */
function read(page) {
  const [head, , ...rows] = page.slice(page.indexOf('| week |')).split('\n\n')[0].split('\n').filter((line) => line.startsWith('|'))
  const cells = (line) => line.split('|').slice(1, -1).map((cell) => cell.trim())
  return cells(head).flatMap((title, at) => {
    const name = /^share: (.+)$/.exec(title)?.[1]
    return name ? [{ name, shares: rows.map((row) => Number.parseFloat(cells(row)[at])) }] : []
  })
}

/** The picture of a page's table. */
export function curve(page) {
  const lines = read(page)
  const weeks = lines[0].shares.length
  const all = lines.flatMap(({ shares }) => shares)
  const [low, high] = [20 * Math.floor(Math.min(...all) / 20), 100]
  const x = (week) => PLOT.left + ((PLOT.right - PLOT.left) * (week - 0.5)) / weeks
  const y = (share) => PLOT.bottom - ((PLOT.bottom - PLOT.top) * (share - low)) / (high - low)
  const text = (at, up, words, more = '') => `<text x="${at}" y="${up.toFixed(1)}" ${more}>${words}</text>`
  const rule = (share) => `<path class="${share === 0 ? 'zero' : 'grid'}" d="M${PLOT.left} ${y(share).toFixed(1)}H${PLOT.right}"/>`
  const shares = Array.from({ length: (high - low) / 20 + 1 }, (_, i) => low + 20 * i)
  const flip = x(FLIP - 0.5).toFixed(1)
  // What is ours lies on top.
  const drawn = lines.map((line, at) => ({ ...line, colour: COLOURS[at % COLOURS.length], width: line.name === OURS ? 3.5 : 1.5 })).reverse()
  const path = ({ shares: of, colour, width }) =>
    `<path fill="none" stroke="${colour}" stroke-width="${width}" d="${of.map((share, i) => `${i ? 'L' : 'M'}${x(i + 1).toFixed(1)} ${y(share).toFixed(1)}`).join('')}"/>`
  const key = ({ name, colour, width }, i) => {
    const [left, up] = [PLOT.left + 348 * (i % 2), PLOT.bottom + 58 + 18 * Math.floor(i / 2)]
    return `<path stroke="${colour}" stroke-width="${width}" d="M${left} ${up}h24"/>${text(left + 32, up + 4, name)}`
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Share of the possible gain, week by week">
<style>text{font:12px system-ui,sans-serif;fill:#4b5563}.grid{stroke:#9ca3af;stroke-opacity:.35}.zero{stroke:#6b7280}.flip{stroke:#6b7280;stroke-dasharray:5 4}@media(prefers-color-scheme:dark){text{fill:#c3cad5}}</style>
${shares.map(rule).join('\n')}
${shares.map((share) => text(PLOT.left - 8, y(share) + 4, `${share} %`, 'text-anchor="end"')).join('\n')}
${Array.from({ length: weeks }, (_, i) => text(x(i + 1).toFixed(1), PLOT.bottom + 18, `${i + 1}`, 'text-anchor="middle"')).join('\n')}
${text((PLOT.left + PLOT.right) / 2, PLOT.bottom + 36, 'week', 'text-anchor="middle"')}
${text(PLOT.left, 16, 'share of the possible gain')}
<path class="flip" d="M${flip} ${PLOT.top}V${PLOT.bottom}"/>
${text(Number(flip) + 6, PLOT.top + 16, 'all rules turn round')}
${drawn.map(path).join('\n')}
${drawn.toReversed().map(key).join('\n')}
</svg>
`
}

/** Draws what the page says. */
export const draw = () => writeFileSync(PICTURE, curve(readFileSync(PAGE, 'utf8')))

if (process.argv[1] === fileURLToPath(import.meta.url)) draw()
