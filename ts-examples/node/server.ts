/**
 * signalloop in a server of plain `node:http`: it receives signals and prices, and returns statistics. Node.js, Bun and Deno run it:
 *
 *     npx tsx node/server.ts
 *     npx bun node/server.ts
 *     npx deno run --allow-all node/server.ts
 */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignalLoop } from 'signalloop'

const loop = new SignalLoop({ home: process.env.SIGNALLOOP_HOME ?? './ml' })
const tracker = loop.feedbackTracker

async function bodyOf(request: IncomingMessage) {
  let text = ''
  for await (const chunk of request) text += chunk
  return JSON.parse(text)
}

/** What each route answers. */
const ROUTES: Record<string, (request: IncomingMessage) => Promise<unknown>> = {
  'POST /signals': async (request) => ({ recorded: await tracker.recordSignal(await bodyOf(request)) }),
  'POST /assess': async (request) => tracker.assess(await bodyOf(request)),
  'POST /prices': async (request) => {
    const { pair, price } = await bodyOf(request)
    return tracker.onPrice(pair, price)
  },
  'GET /stats': () => tracker.getStats(),
}

const server = createServer(async (request, response) => {
  const answer = (status: number, body: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  const route = ROUTES[`${request.method} ${request.url}`]
  if (route === undefined) return answer(404, { message: 'no such route' })
  try {
    answer(200, await route(request))
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    answer(code?.startsWith('ERR_INVALID') ? 400 : 500, { code, message })
  }
})

loop.onEvent((event) => {
  if (event.type === 'signalClosed') console.log(`${event.signal.id}: ${event.signal.outcome}`)
})
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
process.once('SIGTERM', () => {
  server.close(async () => {
    await loop.close()
    process.exit(0)
  })
})
