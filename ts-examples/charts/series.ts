/**
 * What lightweight-charts draws: candles, and a marker where a signal opened and where it closed, as its own types want them.
 * A route of a backend returns this; the browser passes it to `series.setData` and `createSeriesMarkers`.
 */
import type { CandlestickData, SeriesMarker, UTCTimestamp } from 'lightweight-charts'
import type { ClosedSignal } from 'signalloop'

/** The exchange's `[openMs, open, high, low, close, volume]`. */
export type Row = readonly [number, number, number, number, number, number]

const seconds = (time: number | string): UTCTimestamp => (new Date(time).getTime() / 1000) as UTCTimestamp

/** Oldest first, as lightweight-charts requires. */
export function candlesticks(rows: readonly Row[]): CandlestickData<UTCTimestamp>[] {
  return rows.map(([time, open, high, low, close]) => ({ time: seconds(time), open, high, low, close }))
}

/** Two markers per closed signal, in order of time; `barMs` is how long a candle lasts, for markers belong to one. */
export function markers(closed: readonly ClosedSignal[], barMs: number): SeriesMarker<UTCTimestamp>[] {
  const bar = (time: string) => seconds(Math.floor(Date.parse(time) / barMs) * barMs)
  const both = closed.flatMap((signal): SeriesMarker<UTCTimestamp>[] => {
    const buy = signal.signalType === 'BUY'
    const won = signal.profitLossPercent > 0
    return [
      { time: bar(signal.timestamp), position: buy ? 'belowBar' : 'aboveBar', shape: buy ? 'arrowUp' : 'arrowDown', color: '#2962ff', text: signal.signalType },
      { time: bar(signal.closedAt), position: buy ? 'aboveBar' : 'belowBar', shape: 'circle', color: won ? '#26a69a' : '#ef5350', text: `${signal.profitLossPercent.toFixed(2)} %` },
    ]
  })
  return both.sort((one, other) => one.time - other.time)
}
