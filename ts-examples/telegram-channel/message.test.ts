import { signalOf } from './message'

const received = { id: '7', source: 'whales', timestamp: new Date('2025-01-06T00:00Z') }
const LONG = '#BTC/USDT LONG\nEntry: 94 - 96\nTargets: 101 / 107.5 / 113\nStop: 90\nLeverage: 10x\n#breakout'

test('a message becomes a signal', () => {
  expect(signalOf(LONG, received)).toEqual({
    id: 'whales-7', pair: 'BTC/USDT', signalType: 'BUY', confidence: 50, timestamp: received.timestamp, source: 'whales', strategy: 'breakout',
    entryZone: { low: 94, high: 96 }, stopLoss: 90, takeProfits: [{ price: 101 }, { price: 107.5 }, { price: 113 }],
    stopRules: { breakEvenAfterTarget: 1 }, leverage: 10,
  })
  expect(signalOf('ethusdt short\n\nentry: 3000\ntarget: 2900\nstop-loss: 3100', received)).toMatchObject({
    pair: 'ETH/USDT', signalType: 'SELL', entryType: 'limit', entryPrice: 3000, takeProfits: [{ price: 2900 }], stopLoss: 3100, leverage: null, strategy: null,
  })
})

test.each([
  ['what is not understood', LONG.replace('Stop: 90', 'Stop: ninety'), 'not understood in line 4: Stop: ninety'],
  ['what is missing', LONG.replace('Stop: 90\n', ''), 'no stop'],
  ['what is said twice', `${LONG}\nEntry: 95`, 'a second entry in line 7'],
  ['prices with commas', LONG.replace('101 /', '101,5 /'), 'line 3'],
])('%s is refused with its place', (_name, text, message) => {
  expect(() => signalOf(text, received)).toThrow(message)
})
