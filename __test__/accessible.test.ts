// The pages for those who use a keyboard or a screen reader: axe-core finds nothing, and each control can be reached and seen.

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Page } from 'playwright-core'
import type { SignalLoop, Strategy } from '..'
import { inBrowser, openAll, violations, visit } from './helpers/browser'
import { candles, storeCandles } from './helpers/candles'
import { newHome, newLoop } from './helpers/home'
import { trade } from './helpers/traded'

const often: Strategy = (_market, { length, close, time }) => {
  if (length % 6 !== 0) return
  const entry = close.at(-1)!
  return { signalType: 'BUY', entryPrice: entry, stopLoss: entry * 0.985, takeProfit: entry * 1.02, expiresAt: time.at(-1)! + 25 * 3_600_000, strategy: 'often' }
}

let loop: SignalLoop
let server: Server
/** The address of each page. */
let pages: Record<string, string>

/** A home with all that the pages show: closed, open, waiting and managed signals, models, and a replay. */
beforeAll(async () => {
  const home = newHome()
  storeCandles(home, candles(40 * 24).filter((_, i) => i < 200 || i > 220))
  loop = newLoop({ home })
  loop.configure({ symbols: ['BTCUSDT'], timeframes: ['1h'] })
  await trade(loop, 60)
  const { feedbackTracker } = loop
  const plain = { pair: 'BTC/USDT', signalType: 'BUY', confidence: 60, entryPrice: 100, stopLoss: 98, timestamp: Date.now() - 60_000, strategy: 'breakout', indicators: { rsi: 60 } } as const
  await feedbackTracker.assess({ ...plain, takeProfit: 104 })
  await feedbackTracker.recordSignal({ ...plain, takeProfit: 104, id: 'plain' })
  await feedbackTracker.recordSignal({ ...plain, takeProfit: 104, id: 'waits', entryType: 'limit', entryPrice: 99 })
  await feedbackTracker.recordSignal({ ...plain, id: 'managed', pair: 'SOL/USDT', takeProfits: [{ price: 102 }, { price: 108 }], stopRules: { trail: { percent: 1 } }, taken: false })
  await feedbackTracker.onPrice('SOLUSDT', 102.5)
  await loop.train({ fetch: false })
  const replay = join(home, 'replay.html')
  await loop.replay({ strategy: often, without: ['models'], compare: ['outcomes'], report: replay })
  await loop.startScheduler({ enabled: false }).runOnce('evaluate')
  server = createServer(loop.dashboard())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const served = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  pages = {
    report: pathToFileURL((await loop.report()).path).href,
    dashboard: served,
    filtered: `${served}?symbol=ETHUSDT&since=2025-06-10`,
    replay: pathToFileURL(replay).href,
    empty: pathToFileURL((await newLoop().report()).path).href,
  }
}, 120_000)

afterAll(() => {
  server?.closeAllConnections()
  server?.close()
})

/** Opens a page, and waits until it has all of its parts. */
async function whole(name: string, look?: Parameters<typeof visit>[1]) {
  const made = await visit(pages[name]!, look)
  await made.page.waitForFunction(() => !document.body.innerText.includes('is being made'))
  return made
}

const LOOKS = [{ width: 1200 }, { width: 1200, dark: true }, { width: 320 }, { width: 390, dark: true }]

/** The controls that the Tab key reaches, those of them that do not show it, and those that it does not reach. */
async function tabbed(page: Page): Promise<{ reached: string[]; unseen: string[]; missed: string[] }> {
  const all = await page.evaluate(() => {
    const controls = [...document.querySelectorAll<HTMLElement>('a[href], button, summary, select, input, [tabindex="0"]')].filter((one) => one.checkVisibility())
    for (const [number, control] of controls.entries()) control.dataset.number = String(number)
    return controls.map((control) => control.outerHTML.slice(0, 120))
  })
  const seen = new Set<number>()
  const [unseen, reached]: [string[], string[]] = [[], []]
  // A date has a stop for each of its parts.
  for (let presses = 0; presses < all.length + 12; presses++) {
    await page.keyboard.press('Tab')
    const at = await page.evaluate(() => {
      const active = document.activeElement as HTMLElement | null
      if (!active || active === document.body) return null
      const { outlineStyle, outlineWidth } = getComputedStyle(active)
      return { number: Number(active.dataset.number ?? -1), shows: outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2, text: active.outerHTML.slice(0, 120) }
    })
    if (!at || seen.has(at.number)) continue
    seen.add(at.number)
    reached.push(at.text)
    if (!at.shows) unseen.push(at.text)
  }
  return { reached, unseen, missed: all.filter((_, number) => !seen.has(number)) }
}

describe.each(['report', 'dashboard', 'filtered', 'replay', 'empty'])('the page: %s', (name) => {
  inBrowser('axe-core finds nothing, in light and in dark, on a desk and on a phone, with all of it open', async () => {
    for (const look of LOOKS) {
      const { page, errors } = await whole(name, look)
      expect({ look, found: await violations(page) }).toEqual({ look, found: [] })
      await openAll(page)
      expect({ look, found: await violations(page) }).toEqual({ look, found: [] })
      expect(errors).toEqual([])
      await page.close()
    }
  }, 60_000)

  inBrowser('each control is reached by the Tab key, and shows that it is', async () => {
    const { page } = await whole(name)
    const { reached, unseen, missed } = await tabbed(page)
    expect([unseen, missed]).toEqual([[], []])
    expect(reached[0]).toContain('Skip to the content')
    await page.close()
  })
})

inBrowser('what is taken away is missed: a label, the words for a chart, the heading of a column', async () => {
  const { page } = await whole('dashboard')
  expect(await violations(page)).toEqual([])
  await page.evaluate(() => {
    document.querySelector('label[for="filter-symbol"]')!.remove()
    document.querySelector('.uplot')!.removeAttribute('aria-label')
    document.querySelector('th[scope=col]')!.textContent = ''
  })
  const found = await violations(page)
  const rules = ['select-name', 'role-img-alt', 'empty-table-header']
  expect(rules.filter((rule) => !found.some((one) => one.startsWith(rule)))).toEqual([])
  await page.close()
})

inBrowser('the skip link leads to the content, and news do not take the focus away', async () => {
  const { page } = await whole('dashboard')
  await page.getByText('live', { exact: true }).waitFor()
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  const focused = () => page.evaluate(() => [document.activeElement!.id, document.activeElement!.closest('details')?.id])
  expect(await focused()).toEqual(['main', undefined])
  await page.locator('#signal-managed summary').focus()
  await page.keyboard.press('Enter')
  await page.locator('#signal-managed .waterfall').waitFor()
  await loop.feedbackTracker.recordSignal({ id: 'news', pair: 'ETH/USDT', signalType: 'BUY', confidence: 60, entryPrice: 100, takeProfit: 101, timestamp: Date.now() - 1000 })
  await page.locator('#signal-news').waitFor()
  expect(await focused()).toEqual(['', 'signal-managed'])
  expect(await page.locator('#signal-managed .waterfall').count()).toBe(1)
  await page.close()
})

inBrowser('every table has a caption and headings with a scope, and every chart has its figures as a table', async () => {
  for (const name of ['report', 'replay']) {
    const { page } = await whole(name)
    await openAll(page)
    const faults = await page.evaluate(() => {
      const tables = [...document.querySelectorAll('table')]
      const without = (selector: string) => tables.filter((made) => !made.querySelector(selector)).map((made) => made.outerHTML.slice(0, 120))
      const heads = [...document.querySelectorAll('th:not([scope])')].map((head) => head.outerHTML)
      return { captions: without('caption'), columns: without('th[scope=col]'), heads }
    })
    // The table of what was replayed has names of rows only.
    faults.columns = faults.columns.filter((made) => !made.includes('What was replayed'))
    expect(faults).toEqual({ captions: [], columns: [], heads: [] })
    const [charts, tables] = [await page.locator('.chart').count(), await page.locator('details[id^="table-"]').count()]
    // The sums and their drawdown share one.
    expect(tables).toBe(charts - 1)
    await page.close()
  }
})
