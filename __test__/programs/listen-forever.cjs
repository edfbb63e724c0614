// Listens to a loop, closes a signal, gets its event, and ends although the listener is still there.
const { SignalLoop, onEvent, feedbackTracker } = require('../..')

const heard = []
const loop = new SignalLoop({ home: `${process.env.SIGNALLOOP_HOME}/own`, onEvent: (event) => heard.push(`own ${event.type}`) })
onEvent((event) => heard.push(`default ${event.type}`))
onEvent(() => {
  throw new Error('a listener that throws')
})
onEvent(async () => {
  throw new Error('a listener that rejects')
})
loop.onEvent(() => Promise.reject('a text'))
process.on('warning', (warning) => heard.push(warning.message))

const signal = { id: 'a', pair: 'BTCUSDT', signalType: 'BUY', confidence: 70, entryPrice: 100, timestamp: Date.now() - 1000 }

async function main() {
  for (const tracker of [loop.feedbackTracker, feedbackTracker]) {
    await tracker.recordSignal(signal)
    await tracker.updateOutcome({ signalId: 'a', outcome: 'SUCCESS', exitPrice: 101 })
  }
  await new Promise((resolve) => setTimeout(resolve, 100))
  console.log(JSON.stringify(heard.sort()))
}

main()
