// Runs a contender in a process of its own, which prints its CPU seconds and peak memory as JSON in its last line.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A file beside this one. */
export const beside = (name) => fileURLToPath(new URL(name, import.meta.url))

/** The figures of a process with its seconds from start to end; `{ missing, said }` with the reason and all that it said if it failed. */
export function run(command, args) {
  // Some programs write files where they run.
  const cwd = mkdtempSync(join(tmpdir(), 'signalloop-bench-'))
  try {
    const begin = performance.now()
    const { status, signal, error, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 30 })
    const wallSeconds = (performance.now() - begin) / 1000
    if (status !== 0) {
      const reason = stderr.split('\n').findLast((line) => /error|exception/i.test(line))
      return { missing: error?.message ?? reason?.trim() ?? `ended with ${status ?? signal}`, said: stderr }
    }
    return { ...JSON.parse(stdout.trimEnd().split('\n').at(-1)), wallSeconds }
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
}

/** A replay of signalloop. */
export const attempt = (home, options) => run(process.execPath, [beside('product.mjs'), home, JSON.stringify(options)])

/** A replay of signalloop, which must not fail. */
export function replay(home, options) {
  const figures = attempt(home, options)
  if (figures.missing) throw new Error(`a replay failed: ${figures.missing}\n${figures.said}`)
  return figures
}
