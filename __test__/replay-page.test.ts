import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ReplayResult, Strategy } from '..'
import { drawnCharts, inBrowser, overhang, visit } from './helpers/browser'
import { candles, storeCandles } from './helpers/candles'
import { failure, newHome, newLoop } from './helpers/home'
import { EVIL } from './helpers/traded'

/** A signal at every sixth candle. Its strategy's name would be a program, were it not shown as text. */
const often: Strategy = (_market, { length, close, time }) => {
  if (length % 6 !== 0) return
  const [entry, side] = [close.at(-1)!, length % 12 === 0 ? 1 : -1]
  return {
    signalType: side > 0 ? 'BUY' : 'SELL',
    entryPrice: entry,
    stopLoss: entry * (1 - side * 0.015),
    takeProfit: entry * (1 + side * 0.02),
    expiresAt: time.at(-1)! + 25 * 3_600_000,
    strategy: EVIL,
    indicators: { hour: length % 24 },
  }
}

/** A replay of a hundred days without models, once with and once without what outcomes teach; and its page. */
async function replayed(): Promise<{ result: ReplayResult; path: string }> {
  const home = newHome()
  storeCandles(home, candles(100 * 24))
  const path = join(home, 'replay.html')
  const loop = newLoop({ home })
  loop.configure({ symbols: ['BTCUSDT'], timeframes: ['1h'] })
  const result = await loop.replay({ strategy: often, without: ['models'], compare: ['outcomes'], report: path })
  return { result, path }
}

inBrowser('the page of a replay shows its figures, draws its charts, and asks nobody for anything', async () => {
  const { result, path } = await replayed()
  const { summary, verdict, parts } = result
  expect([summary.all.signals, summary.taken.signals + summary.left.signals]).toEqual([400, 400])
  const [, json] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(readFileSync(path, 'utf8'))!
  const data = JSON.parse(json!)
  expect([data.verdict, data.looks, data.faults]).toEqual([verdict, result.looks, result.faults])
  expect(data.parts[0].difference).toEqual(parts[0]!.difference)

  const { page, errors, requests } = await visit(pathToFileURL(path).href)
  // The sums, the drawdown, and the calibration.
  expect(await drawnCharts(page)).toEqual({ drawn: 3, all: 3 })
  const sums = page.locator('.chart').first()
  await sums.scrollIntoViewIfNeeded()
  await sums.hover({ position: { x: 500, y: 100 } })
  const tip = sums.locator('.tip')
  await expect(tip.innerText()).resolves.toMatch(/until .* 20\d\d.*\s+all signals [+−][\d.]+\sR\s+taken [+−][\d.]+\sR\s+left [+−][\d.]+\sR\s+taken: below its peak by [\d.]+\sR/)
  await page.getByRole('button', { name: 'left' }).click()
  await sums.hover({ position: { x: 510, y: 100 } })
  await expect(tip.innerText()).resolves.not.toContain('left')

  const text = await page.locator('main').innerText()
  const sentences = [verdict.advice, verdict.signals, verdict.looks!, parts[0]!.verdict].map(({ words }) => `${words[0]!.toUpperCase()}${words.slice(1)}.`)
  const headings = ['What was replayed', 'All, taken, left', 'Running sums', 'What each part brought', 'Predictions and outcomes', 'By month', 'By strategy', 'By symbol', 'What happened', 'Faults', 'What a replay cannot know']
  for (const part of [...sentences, ...headings, 'BTCUSDT 1h', 'learning from outcomes', 'Slippage', EVIL]) expect(text).toContain(part)
  expect(await page.title()).toBe('signalloop replay')
  expect([errors, requests]).toEqual([[], [pathToFileURL(path).href]])
  await page.close()
})

inBrowser('the page of a replay is dark where that is wished for, and fits a phone', async () => {
  const { path } = await replayed()
  const url = pathToFileURL(path).href
  const dark = await visit(url, { dark: true })
  const drawing = await dark.page.evaluate(() => document.querySelector('canvas')!.toDataURL())
  await dark.page.emulateMedia({ colorScheme: 'light' })
  await dark.page.waitForFunction((before) => document.querySelector('canvas')!.toDataURL() !== before, drawing)
  expect(dark.errors).toEqual([])
  await dark.page.close()
  for (const width of [320, 390]) {
    const phone = await visit(url, { width, height: 800 })
    expect(await overhang(phone.page)).toBe(0)
    expect(await drawnCharts(phone.page)).toEqual({ drawn: 3, all: 3 })
    // What a part brought can be read without moving the table aside.
    const words = await phone.page.locator('#parts td.text').first().boundingBox()
    expect(words!.x + words!.width).toBeLessThanOrEqual(width)
    expect(phone.errors).toEqual([])
    await phone.page.close()
  }
})

test('a page of a replay never replaces a file of the home, and nothing runs before that is known', async () => {
  const home = newHome()
  storeCandles(home, candles(200))
  const loop = newLoop({ home })
  let asked = 0
  const strategy: Strategy = () => void asked++
  const error = await failure(() => loop.replay({ strategy, symbols: ['BTCUSDT'], timeframes: ['1h'], report: join(home, 'data', 'btcusdt_1h.csv') }))
  expect([error.code, asked]).toEqual(['ERR_INVALID_ARGUMENT', 0])
  expect(error.message).toContain('report')
})
