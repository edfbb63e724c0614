import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import express from 'express'
import type { SignalLoop } from '..'
import { drawnCharts, inBrowser, overhang, visit } from './helpers/browser'
import { candles, storeCandles } from './helpers/candles'
import { newHome, newLoop } from './helpers/home'
import { BEGAN, EVIL, trade } from './helpers/traded'

/** A home with everything that a report shows, and a file whose name is a program. */
async function livedIn(): Promise<SignalLoop> {
  const home = newHome()
  storeCandles(home, candles(500).filter((_, i) => i < 200 || i > 220))
  writeFileSync(join(home, 'data', '<script>document.title = "owned"<!--.csv'), '')
  const loop = newLoop({ home })
  loop.configure({ symbols: ['BTCUSDT'], timeframes: ['1h'] })
  await trade(loop, 60)
  await loop.train({ fetch: false })
  await loop.startScheduler({ enabled: false }).runOnce('evaluate')
  return loop
}

inBrowser('the report draws its charts, shows values where one points, and asks nobody for anything', async () => {
  const { path } = await (await livedIn()).report()
  const { page, errors, requests } = await visit(pathToFileURL(path).href)
  // Success, results, drawdown, and the calibration of signals and of models.
  expect(await drawnCharts(page)).toEqual({ drawn: 5, all: 5 })
  const chart = page.locator('.chart').first()
  await chart.scrollIntoViewIfNeeded()
  await chart.hover({ position: { x: 300, y: 100 } })
  await expect(chart.locator('.tip').innerText()).resolves.toMatch(/Week of .* 2025\s+\d+ of \d+ succeeded: [\d.]+\s% \([\d.]+–[\d.]+\s%\)/)
  const curve = page.locator('.chart').nth(1)
  await curve.hover({ position: { x: 500, y: 100 } })
  await expect(curve.locator('.tip').innerText()).resolves.toMatch(/until .* 2025.*\s+all [+−][\d.]+\s%\s+BTCUSDT [+−][\d.]+\s%/)
  const drawdown = page.locator('.chart').nth(2)
  await drawdown.hover({ position: { x: 500, y: 60 } })
  await expect(drawdown.locator('.tip').innerText()).resolves.toMatch(/until .* 2025.*\s+below its peak by [\d.]+\s%/)
  const calibration = page.locator('.chart').nth(3)
  // Two confidences were stated: where the mouse is, the nearest shows.
  await calibration.hover({ position: { x: 400, y: 100 } })
  await expect(calibration.locator('.tip').innerText()).resolves.toMatch(/promised 80.0\s%\s+happened [\d.]+\s% \([\d.]+–[\d.]+\s%\)\s+\d+ closed signals/)
  await expect(page.locator('.strip b').first().getAttribute('title')).resolves.toMatch(/^21 h from .* 2\d{3}, /)
  await expect(page.locator('.bars span[title]').count()).resolves.toBeGreaterThan(3)
  await page.getByRole('button', { name: 'ETHUSDT' }).click()
  await curve.hover({ position: { x: 510, y: 100 } })
  await expect(curve.locator('.tip').innerText()).resolves.not.toContain('ETHUSDT')
  expect([errors, requests]).toEqual([[], [pathToFileURL(path).href]])

  // Names that would be programs are text.
  await page.locator('#models details summary').first().click()
  const text = await page.locator('main').innerText()
  expect(text).toContain(`${EVIL} at or above`)
  expect(text).toContain('<script>document.title = "owned"<!--.csv')
  expect(await page.title()).toBe('signalloop report')
  for (const part of ['of 120 closed signals succeeded', 'Ratios, streaks and times', 'system quality number', 'Held: losses', 'By month', '2025-07', 'first model', '1, longest 21 h', 'evaluate']) expect(text).toContain(part)
  await page.close()
})

inBrowser('the report of one week has an axis of that time, and the line that its caption tells of', async () => {
  const loop = newLoop()
  await trade(loop, 5)
  const { page, errors } = await visit(pathToFileURL((await loop.report()).path).href)
  expect(await page.locator('main').innerText()).toContain('The dashed line is the break-even')
  const [from, until] = await page.evaluate('[charts[0].plot.scales.x.min, charts[0].plot.scales.x.max]') as [number, number]
  const week = 7 * 86_400
  // Its Monday in the middle of two weeks.
  expect([(from + until) / 2, until - from]).toEqual([BEGAN / 1000, 2 * week])
  const reaches = await page.evaluate(() => {
    const canvas = document.querySelector('canvas')!
    const { data, width } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height)
    const columns = new Set<number>()
    // #d55e00, the colour of break-even, as far as it is not mixed with what is beside it.
    for (let i = 0; i < data.length; i += 4) if (data[i]! > 200 && data[i + 1]! < 110 && data[i + 2]! < 20 && data[i + 3]! > 100) columns.add((i / 4) % width)
    return { left: Math.min(...columns) / width, right: Math.max(...columns) / width }
  })
  expect([reaches.left < 0.1, reaches.right > 0.95]).toEqual([true, true])
  expect(errors).toEqual([])
  await page.close()

  // Without a loss there is no break-even, and nothing is said of a line.
  const won = newLoop()
  await won.feedbackTracker.recordSignal({ id: 'a', pair: 'BTCUSDT', signalType: 'BUY', confidence: 60, entryPrice: 100, takeProfit: 101, timestamp: BEGAN })
  await won.feedbackTracker.onPrice('BTCUSDT', 101, BEGAN + 1000)
  const single = await visit(pathToFileURL((await won.report()).path).href)
  expect(await single.page.locator('main').innerText()).not.toContain('dashed line is the break-even')
  expect([single.errors, await drawnCharts(single.page)]).toEqual([[], { drawn: 3, all: 3 }])
  await single.page.close()
})

inBrowser('it is dark where that is wished for, and fits a phone', async () => {
  const { path } = await (await livedIn()).report()
  const url = pathToFileURL(path).href
  const dark = await visit(url, { dark: true })
  const background = () => dark.page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  const darkness = await background()
  const drawing = await dark.page.evaluate(() => document.querySelector('canvas')!.toDataURL())
  await dark.page.emulateMedia({ colorScheme: 'light' })
  expect(await background()).not.toBe(darkness)
  // The charts, too, are drawn in other colours, as soon as the page hears of it.
  await dark.page.waitForFunction((before) => document.querySelector('canvas')!.toDataURL() !== before, drawing)
  expect(dark.errors).toEqual([])
  await dark.page.close()

  for (const width of [320, 390]) {
    const phone = await visit(url, { width, height: 800 })
    expect(await overhang(phone.page)).toBe(0)
    expect(await drawnCharts(phone.page)).toEqual({ drawn: 5, all: 5 })
    for (const place of ['#symbols', '#latest']) {
      const result = await phone.page.locator(`${place} tbody td.number span`).first().boundingBox()
      expect(result!.x + result!.width).toBeLessThanOrEqual(width)
    }
    // Why a model went into service can be read without moving the table aside.
    await phone.page.locator('#models details summary').first().click()
    const why = await phone.page.getByText('first model: the first model of BTCUSDT 1h').boundingBox()
    expect(why!.x + why!.width).toBeLessThanOrEqual(width)
    expect(phone.errors).toEqual([])
    await phone.page.close()
  }
})

inBrowser("the user's own model is shown with its weight, since when it is used, and what it knows", async () => {
  const loop = newLoop({ model: { name: '<b>mine', trainedUntil: null, predict: ({ times }) => Array.from(times, (time): [number, number] => [0.5 + 0.4 * Math.sin(time), 0.5]) } })
  storeCandles(loop.home, candles(1200))
  const { results } = await loop.train({ symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false })
  const { buy, sell } = results[0]!.model!.ownModel!
  const { page, errors } = await visit(pathToFileURL((await loop.report()).path).href)
  const rows = await page.locator('#own-models tbody tr').all()
  const cells = await Promise.all(rows.map((row) => row.locator('th, td').allInnerTexts()))
  const today = new Date().toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })
  expect(cells.map((row) => row.slice(0, 4))).toEqual(['BUY', 'SELL'].map((bet) => ['BTCUSDT 1h', '<b>mine', today, bet]))
  ;[buy, sell].forEach((side, i) => {
    const [weight, known, bars] = cells[i]!.slice(4)
    expect([weight, bars]).toEqual([`${Math.round(100 * side.weight)}\u00a0%`, side.rows.toLocaleString('en')])
    const shown = (n: number) => n.toFixed(2).replace('-', '−')
    expect(known).toBe(side.slope === undefined ? 'nothing, or too short to tell' : `${shown(side.slope)} ± ${shown(side.slopeError!)}`)
  })
  expect(errors).toEqual([])
  await page.close()

  // Without one, nothing is said of it.
  const without = await visit(pathToFileURL((await (await livedIn()).report()).path).href)
  expect(await without.page.locator('#own-models').count()).toBe(0)
  await without.page.close()
})

inBrowser('a home without signals is told what to do', async () => {
  const { path } = await newLoop().report()
  const { page, errors } = await visit(pathToFileURL(path).href, { width: 390 })
  await expect(page.locator('main').innerText()).resolves.toMatch(/No signals yet[\s\S]*recordSignal[\s\S]*npx signalloop train/)
  expect([errors, await overhang(page)]).toEqual([[], 0])
  await page.close()
})

inBrowser('the live view follows signals as they close, and what was open stays open', async () => {
  const loop = await livedIn()
  const app = express().use('/learning', loop.dashboard())
  const server = createServer(app)
  try {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { page, errors, requests } = await visit(`${origin}/learning`)
    await page.getByText('live', { exact: true }).waitFor()
    await page.locator('#models details summary').first().click()
    await loop.feedbackTracker.recordSignal({ id: 'new', pair: 'SOL/USDT', signalType: 'SELL', confidence: 60, entryPrice: 100, takeProfit: 99, timestamp: Date.now() - 1000 })
    await loop.feedbackTracker.onPrice('SOLUSDT', 99)
    await page.getByText('of 121 closed signals succeeded').waitFor()
    expect(await page.locator('#latest tbody tr').first().innerText()).toContain('SOLUSDT')
    expect(await page.locator('details[open]').count()).toBe(1)
    expect(await drawnCharts(page)).toEqual({ drawn: 5, all: 5 })
    expect(errors).toEqual([])
    expect(requests.filter((url) => url !== `${origin}/learning` && url !== `${origin}/learning?data`)).toEqual([])

    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
    await page.getByText('no connection, trying again').waitFor()
    await page.close()
  } finally {
    server.close()
  }
})

inBrowser('a single signal shows where it stands and what moved its probability, and the steps add up', async () => {
  const loop = await livedIn()
  const { feedbackTracker } = loop
  const plain = { pair: 'BTC/USDT', signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 98, indicators: { [EVIL]: 90 } } as const
  // Learns of what closed, so that something is said of what comes.
  const asked = await feedbackTracker.assess({ ...plain, takeProfit: 104 })
  const timestamp = Date.now() - 60_000
  await feedbackTracker.recordSignal({ ...plain, takeProfit: 104, id: 'plain', timestamp })
  await feedbackTracker.recordSignal({ ...plain, id: 'waits', timestamp, entryType: 'limit', entryPrice: 99, takeProfits: [{ price: 103 }, { price: 106 }], entryExpiresAt: timestamp + 3_600_000 })
  await feedbackTracker.recordSignal({ ...plain, id: 'managed', pair: 'SOL/USDT', timestamp, takeProfits: [{ price: 102 }, { price: 108 }], stopRules: { breakEvenAfterTarget: 1, trail: { percent: 1 } } })
  await feedbackTracker.onPrice('SOLUSDT', 102.5)
  const { page, errors } = await visit(pathToFileURL((await loop.report()).path).href)
  const card = (id: string) => page.locator(`[id="signal-${id}"]`)
  const textOf = async (id: string) => {
    await card(id).locator('summary').click()
    await card(id).locator('dl').first().waitFor()
    return card(id).innerText()
  }
  expect(await textOf('plain')).toMatch(/BTCUSDT BUY[\s\S]*open[\s\S]*advice: (take|leave)/)
  const cells = await card('plain').locator('.waterfall tbody tr').evaluateAll((rows) => rows.map((row) => [...row.querySelectorAll('td.number')].map((cell) => cell.textContent)))
  const number = (text: string | null | undefined) => Number(text!.replace('−', '-').replace(/[^\d.-]/g, ''))
  const steps = cells.slice(1, -1).map(([moved]) => number(moved))
  const stated = number(cells.at(-1)![1])
  expect(steps.length).toBeGreaterThanOrEqual(6)
  expect(Math.abs(stated - 100 * asked.successProbability)).toBeLessThan(0.06)
  // Each is rounded to a tenth.
  expect(Math.abs(steps.reduce((sum, step) => sum + step, 50) - stated)).toBeLessThan(0.5)

  const waits = await textOf('waits')
  for (const part of ['waits for its entry', 'at its price or better', 'waits until', '103 (50 %), 106 (50 %)']) expect(waits).toContain(part)
  const managed = await textOf('managed')
  for (const part of ['targets hit', '102.5 (50 %)', '108 (50 %)', 'behind the best price', 'target 1 reached', 'stop moved to']) expect(managed).toContain(part)
  expect(errors).toEqual([])
  await page.close()
})

inBrowser('filters change the figures and the address, and the address alone is enough', async () => {
  const loop = await livedIn()
  const server = createServer(loop.dashboard())
  try {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const { page, errors } = await visit(origin)
    await page.getByText('of 120 closed signals succeeded').waitFor()
    const symbol = page.getByLabel('Symbol', { exact: true })
    await symbol.selectOption('ETHUSDT')
    await page.getByText('of 40 closed signals succeeded').waitFor()
    await page.getByText('Only ETHUSDT').waitFor()
    await page.getByLabel('Until (UTC)').fill('2025-06-15')
    // Two signals a day for two weeks; every third signal is of this symbol.
    await page.getByText('of 10 closed signals succeeded').waitFor()
    expect(page.url()).toBe(`${origin}?symbol=ETHUSDT&until=2025-06-15`)
    await page.getByLabel('From (UTC)').fill('2025-07-01')
    await page.getByText('`until` must be after `since`').waitFor()
    await page.goBack()
    await page.getByText('live', { exact: true }).waitFor()
    await page.getByRole('button', { name: 'Show all' }).click()
    await page.getByText('of 120 closed signals succeeded').waitFor()
    expect([page.url(), await symbol.inputValue()]).toEqual([origin, ''])
    // The browser notes the refusal.
    expect(errors.filter((text) => !text.includes('400'))).toEqual([])
    await page.close()

    const direct = await visit(`${origin}?symbol=ETHUSDT&since=2025-06-02&until=2025-06-15`)
    await direct.page.getByText('of 10 closed signals succeeded').waitFor()
    expect([await direct.page.getByLabel('Symbol', { exact: true }).inputValue(), await direct.page.getByLabel('Until (UTC)').inputValue()]).toEqual(['ETHUSDT', '2025-06-15'])
    const none = await visit(`${origin}?strategy=nobody`)
    await none.page.getByText('No signal matches.').waitFor()
    expect([direct.errors, none.errors]).toEqual([[], []])
    await Promise.all([direct.page.close(), none.page.close()])
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
