// Reads the statistics repeatedly, and prints those it reads after it was told to end.
const { feedbackTracker } = require('../..')

async function main() {
  let told = false
  process.stdin.once('data', () => (told = true)).unref()
  let reads = 0
  let most = 0
  await feedbackTracker.getStats()
  console.log('open')
  while (!told) {
    const { overall } = await feedbackTracker.getStats()
    if (overall.totalSignals < most) throw new Error(`${overall.totalSignals} signals after ${most}`)
    most = overall.totalSignals
    reads += 1
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const { overall } = await feedbackTracker.getStats()
  const recovery = await feedbackTracker.recovery()
  console.log(JSON.stringify({ reads, overall, recovery }))
  process.stdin.destroy()
}

main()
