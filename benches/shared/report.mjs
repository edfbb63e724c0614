// Turns the figures of the rounds into a table.
import { intoPage, markdown, text } from './page.mjs'
import { median, ratio } from './measure.mjs'

/** Medians, ratio (above 1: we are better), and whether the targets were reached; `undefined` where there is no target. */
export function verdict({ ours, peer, lower = false, target, targetRatio, ...row }) {
  const times = peer && (lower ? ratio(peer, ours) : ratio(ours, peer))
  const figure = median(ours)
  const judged = [
    target === undefined ? undefined : lower ? figure <= target : figure >= target,
    targetRatio === undefined ? undefined : times === undefined ? null : times >= targetRatio,
  ].filter((judgement) => judgement !== undefined)
  const reached = judged.length === 0 ? undefined : judged.includes(false) ? false : judged.includes(null) ? null : true
  return { ...row, lower, ours: figure, spread: [Math.min(...ours), Math.max(...ours)], peer: peer && median(peer), ratio: times, target, targetRatio, reached }
}

function number(x) {
  if (x >= 1000) return Math.round(x).toLocaleString('en-US').replaceAll(',', ' ')
  return x >= 100 ? x.toFixed(0) : x.toPrecision(3)
}

function cells(row) {
  if (row.ours === undefined) return [row.what, '', '', '', '', '']
  const targets = [
    row.target !== undefined && `${row.lower ? '≤' : '≥'} ${number(row.target)} ${row.unit}`,
    row.targetRatio !== undefined && `≥ ${row.targetRatio} ×`,
  ].filter(Boolean)
  const reached = { true: 'yes', false: '**no**', null: 'not measured', undefined: '' }[row.reached]
  return [
    row.what,
    `${number(row.ours)} ${row.unit} (${row.spread.map(number).join('–')})`,
    row.peer ? `${number(row.peer)} ${row.unit} (${row.peerName})` : (row.peerName && row.targetRatio ? 'missing' : ''),
    row.ratio ? `${number(row.ratio)} ×` : '',
    targets.join(', '),
    reached,
  ]
}

const HEAD = ['', 'signalloop (lowest–highest)', 'against', 'ratio', 'target', 'reached']

/** The explanation of figures below every table. */
export const LEGEND = "A ratio above 1 × is in signalloop's favour."

/** For a terminal. */
export const table = ({ about, rows }) => [`${about} ${LEGEND}`, '', text([HEAD, ...rows.map(cells)])].join('\n')

/** Puts a table into the page on performance, between its markers of this name. */
export function toFile(mark, { about, rows }) {
  intoPage('performance.md', mark, [`${about} ${LEGEND}`, markdown([HEAD, ...rows.map(cells)])].join('\n\n'))
}
