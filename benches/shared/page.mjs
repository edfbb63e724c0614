// Tables of the benchmarks, for a terminal and for the documentation.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** For a terminal. `lines` are rows of cells in markdown, the head first. */
export function text(lines) {
  const plain = lines.map((line) => line.map((cell) => cell.replaceAll(/[`*]/g, '')))
  const widths = plain[0].map((_, i) => Math.max(...plain.map((line) => line[i].length)))
  return plain.map((line) => line.map((cell, i) => cell.padEnd(widths[i])).join('  ').trimEnd()).join('\n')
}

/** For the documentation. */
export function markdown([head, ...lines]) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...lines.map(line)].join('\n')
}

/** Puts `content` between the markers `mark` of a page of `docs`. */
export function intoPage(name, mark, content) {
  const path = fileURLToPath(new URL(`../../docs/${name}`, import.meta.url))
  const [open, close] = [`<!-- ${mark} -->`, `<!-- /${mark} -->`]
  const page = readFileSync(path, 'utf8')
  const [begin, end] = [page.indexOf(open), page.indexOf(close)]
  if (begin < 0 || end < begin) throw new Error(`${path} lacks the markers ${open} and ${close}`)
  writeFileSync(path, `${page.slice(0, begin + open.length)}\n${content}\n${page.slice(end)}`)
}
