// Runs contenders in separate processes, which print their figures as one JSON object.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Runs a program to its end and returns what it wrote. */
export function output(command, ...args) {
  const { status, signal, error, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 30,
  })
  if (status !== 0) throw error ?? new Error(`${command} ${args[0]} ended with ${status ?? signal}`)
  return stdout
}

/** Runs a program to its end and returns its figures: the last line of what it wrote. */
export const figures = (command, ...args) => JSON.parse(output(command, ...args).trimEnd().split('\n').at(-1))

/** Runs another file of the benches with this Node. */
export const nodeFigures = (file, ...args) => figures(process.execPath, fileURLToPath(new URL(`../${file}`, import.meta.url)), ...args)

/** A Python file of the benches. */
export const pythonFile = (name) => fileURLToPath(new URL(`../python/${name}`, import.meta.url))

let built
/** Runs the benches' Rust program, which calls the core without Node; it is built first, not measured. */
export function coreFigures(...args) {
  if (!built) {
    console.error('building the benches\' Rust program …')
    output('cargo', 'build', '--manifest-path', join(ROOT, 'Cargo.toml'), '--locked', '--release', '--quiet', '--bin', 'speed')
    built = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'release', process.platform === 'win32' ? 'speed.exe' : 'speed')
  }
  return figures(built, ...args)
}

/** CPU seconds and peak memory of this process so far; every contender reports its own. */
export function usage() {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  return { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakBytes: maxRSS * 1024 }
}
