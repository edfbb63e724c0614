import { existsSync, readFileSync } from 'node:fs'
import { chromium, type Browser, type Page } from 'playwright-core'

/** The machine's Chromium; none is downloaded. */
export const CHROMIUM = [process.env.CHROMIUM_PATH, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => path !== undefined && existsSync(path),
)

/** A test in a real browser; where there is none, one that says in its name that it did not run. */
export const inBrowser = (name: string, work: () => Promise<void>, timeoutMs?: number): void => {
  if (CHROMIUM) test(name, work, timeoutMs)
  else test.skip(`${name} (did not run: no Chromium here; apt-get install chromium, or set CHROMIUM_PATH)`, work)
}

/** What a page did: errors on its console, exceptions, and every address that it asked for. */
export interface Visit {
  page: Page
  errors: string[]
  requests: string[]
}

let browser: Browser | undefined

afterAll(async () => {
  await browser?.close()
  browser = undefined
})

/** Opens an address in a window of its own. */
export async function visit(url: string, { width = 1200, height = 900, dark = false } = {}): Promise<Visit> {
  // Without its sandbox, which a root user of a container cannot have.
  browser ??= await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] })
  const page = await browser.newPage({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light' })
  const [errors, requests]: [string[], string[]] = [[], []]
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('request', (request) => requests.push(request.url()))
  await page.goto(url)
  return { page, errors, requests }
}

/** How many of a page's charts have something drawn on them, and how many there are. */
export const drawnCharts = (page: Page): Promise<{ drawn: number; all: number }> =>
  page.evaluate(() => {
    const canvases = [...document.querySelectorAll('canvas')]
    const isDrawn = (canvas: HTMLCanvasElement) => {
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height)
      return new Set(new Uint32Array(data.buffer)).size > 5
    }
    return { drawn: canvases.filter(isDrawn).length, all: canvases.length }
  })

/** By how many pixels a page is wider than its window. */
export const overhang = (page: Page): Promise<number> =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)

const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

/** What axe-core finds wrong with a page as it is, each as `rule: element`. */
export async function violations(page: Page): Promise<string[]> {
  // Evaluated by the debugger, since the page's policy would refuse a script element.
  await page.evaluate(AXE)
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run: (of: Document) => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } }
    const found = await axe.run(document)
    return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`))
  })
}

/** Opens everything that can be opened. */
export const openAll = async (page: Page): Promise<void> => {
  await page.evaluate(() => {
    for (const details of document.querySelectorAll('details')) details.open = true
  })
  // They are filled when the browser tells of it.
  await page.waitForFunction(() => [...document.querySelectorAll('details')].every(({ open, childElementCount }) => open && childElementCount > 1))
}
