import { newHome } from '../../__test__/helpers/home'
import { price } from '../services/exchange'
import { feedbackTracker } from '../services/feedbackTracker'
import { PriceStream } from '../services/priceStream'
import { close, type ClosedSignal } from 'signalloop'

jest.mock('../services/exchange', () => ({ price: jest.fn() }))

beforeAll(() => {
  process.env.SIGNALLOOP_HOME = newHome()
})
afterAll(() => close())

test('a price that cannot be had is told, and the next one closes', async () => {
  await feedbackTracker.recordSignal({
    id: 'a', pair: 'BTC/USDT', signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 98, takeProfit: 104, timestamp: Date.now(),
  })
  jest.mocked(price).mockRejectedValueOnce(new Error('offline')).mockResolvedValue(105)
  const stream = new PriceStream(['BTC/USDT'], 1)
  const problems: string[] = []
  stream.on('problem', (error) => problems.push(error.message))
  const closed = new Promise<ClosedSignal>((resolve) => stream.once('closed', resolve))
  stream.start()
  expect(await closed).toMatchObject({ id: 'a', outcome: 'TOOK_PROFIT', exitPrice: 105 })
  expect(problems).toEqual(['offline'])
  await stream.stop()
  const asked = jest.mocked(price).mock.calls.length
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(jest.mocked(price).mock.calls.length).toBe(asked)
})
