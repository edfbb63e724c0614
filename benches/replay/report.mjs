// Tables of the figures of replays.
import { ALL, LEARNS_NOT } from './parts.mjs'

const MB = 1e6
const number = (x) => (x >= 1000 ? Math.round(x).toLocaleString('en-US').replaceAll(',', ' ') : x >= 100 ? x.toFixed(0) : x.toPrecision(3))
const seconds = ({ cpuSeconds, spread }) => (spread && spread[0] !== spread[1] ? `${number(cpuSeconds)} (${spread.map(number).join('–')})` : number(cpuSeconds))
const perSignal = ({ cpuSeconds, handled }) => (handled > 0 ? (1000 * cpuSeconds) / handled : undefined)

export function contendersTable({ rows }) {
  const head = ['', 'signals', 'handled', 'which', 'CPU s (lowest–highest)', 'CPU ms a handled signal', 's', 'peak memory, MB']
  const line = (row) => {
    if (row.missing) return [row.name, '', '', row.missing, '', '', '', '']
    const each = perSignal(row)
    return [row.name, `${row.signals}`, `${row.handled}`, row.handles, seconds(row), each ? number(each) : '', number(row.wallSeconds), number(row.peakBytes / MB)]
  }
  return [head, ...rows.map(line)]
}

export function tenTable({ days, rows }) {
  const head = [`ten markets, ${days} days, own signals`, 'signals', 'models promoted', 'CPU s', 's', 'peak memory, MB']
  const line = (row) => row.missing ? [row.name, row.missing, '', '', '', ''] : [row.name, `${row.signals}`, `${row.promoted}`, number(row.cpuSeconds), number(row.wallSeconds), number(row.peakBytes / MB)]
  return [head, ...rows.map(line)]
}

export function growthTable({ rows }) {
  const head = ['growth of CPU s', 'half of the time', 'all', 'exponent by signals', '3 of 6 markets', 'exponent by markets']
  const some = ({ cpuSeconds, signals }) => `${number(cpuSeconds)} (${signals} signals)`
  const line = ({ name, half, all, three, bySignals, byMarkets }) => [name, some(half), some(all), bySignals.toFixed(2), some(three), byMarkets.toFixed(2)]
  return [head, ...rows.map(line)]
}

/** A goal as a line: what, found, target, and whether it is reached; `undefined` where something was not measured. */
function goal(what, found, target, reached, shown = number) {
  return [what, found === undefined ? '' : shown(found), target, found === undefined || reached === undefined ? 'not measured' : reached ? 'yes' : '**no**']
}

const than = (name, figures) => (figures ? `${number(figures.cpuSeconds)} (${name})` : `that of ${name}`)

/** The goals of whatever was measured. */
export function goalsTable({ contenders, ten, growth }) {
  const lines = []
  if (contenders) {
    const of = Object.fromEntries(contenders.rows.filter(({ missing }) => !missing).map((row) => [row.name, row]))
    const [plain, all, backtesting, freqtrade, kit] = [of[LEARNS_NOT], of[ALL], of['backtesting.py'], of.freqtrade, of['backtest-kit']]
    const times = kit && all && perSignal(kit) && perSignal(all) ? perSignal(kit) / perSignal(all) : undefined
    lines.push(
      goal('seconds with learning', all?.wallSeconds, '≤ 30', all && all.wallSeconds <= 30),
      goal('its peak memory, MB', all && all.peakBytes / MB, '≤ 1 000', all && all.peakBytes <= 1000 * MB),
      goal('CPU s without learning', plain.cpuSeconds, `≤ ${than('backtesting.py', backtesting)}`, backtesting && plain.cpuSeconds <= backtesting.cpuSeconds),
      goal('CPU s with learning', all?.cpuSeconds, `< ${than('freqtrade', freqtrade)}`, all && freqtrade && all.cpuSeconds < freqtrade.cpuSeconds),
      goal("backtest-kit's CPU s a signal, in those with learning", times, '≥ 20', times >= 20),
    )
  }
  const nightly = ten?.rows[0].wallSeconds
  if (ten) lines.push(goal('seconds of ten markets, nightly trainings', nightly, '≤ 60', nightly <= 60))
  if (growth) {
    const most = Math.max(...growth.rows.flatMap(({ bySignals, byMarkets }) => [bySignals, byMarkets]))
    lines.push(goal('highest exponent', most, '≤ 1.1', most <= 1.1, (x) => x.toFixed(2)))
  }
  return [['', 'signalloop', 'target', 'reached'], ...lines]
}
