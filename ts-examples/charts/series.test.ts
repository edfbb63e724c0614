import { SignalLoop, type ClosedSignal } from 'signalloop'
import { newHome } from '../__test__/helpers/home'
import { candlesticks, markers, type Row } from './series'

const HOUR = 3_600_000
const START = Date.UTC(2026, 0, 5)

test('candles and the markers of closed signals, in the order and the units that lightweight-charts wants', async () => {
  const rows = Array.from({ length: 6 }, (_, i): Row => [START + i * HOUR, 100 + i, 103 + i, 98 + i, 101 + i, 5])
  const loop = new SignalLoop({ home: newHome() })
  const { feedbackTracker } = loop
  const levels = { pair: 'BTC/USDT', confidence: 60, entryPrice: 100 }
  await feedbackTracker.recordSignals([
    { ...levels, id: 'a', signalType: 'BUY', stopLoss: 95, takeProfit: 105, timestamp: START + 600_000 },
    { ...levels, id: 'b', signalType: 'SELL', stopLoss: 106, takeProfit: 90, timestamp: START + 1_200_000 },
  ])
  const closed: ClosedSignal[] = []
  for (const row of rows) closed.push(...(await feedbackTracker.onCandle('BTC/USDT', row)))
  await loop.close()

  const candles = candlesticks(rows)
  expect(candles[1]).toEqual({ time: START / 1000 + 3600, open: 101, high: 104, low: 99, close: 102 })
  const marks = markers(closed, HOUR)
  expect(marks).toHaveLength(4)
  const times = marks.map(({ time }) => time)
  expect(times).toEqual([...times].sort((a, b) => a - b))
  // A marker of a time that no candle has would be drawn nowhere.
  const known = new Set(candles.map(({ time }) => time))
  expect(times.every((time) => known.has(time))).toBe(true)
  expect(marks.map(({ text }) => text)).toEqual(['BUY', 'SELL', '5.00 %', '-6.00 %'])
})
