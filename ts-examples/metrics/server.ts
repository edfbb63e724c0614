/**
 * `/metrics` for Prometheus: metrics of the process from prom-client, then signalloop's metrics of its home.
 *
 *     npx tsx metrics/server.ts
 *     curl localhost:9464/metrics
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { collectDefaultMetrics, register } from 'prom-client'
import { close, metrics } from 'signalloop'

collectDefaultMetrics()

const server = createServer(async (request, response) => {
  if (request.url !== '/metrics') {
    response.writeHead(404).end()
    return
  }
  try {
    const text = (await register.metrics()) + (await metrics())
    response.writeHead(200, { 'content-type': register.contentType }).end(text)
  } catch (error) {
    // Prometheus marks a target that answers 500 as down.
    response.writeHead(500, { 'content-type': 'text/plain' }).end((error as Error).message)
  }
})

server.listen(Number(process.env.PORT ?? 9464), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
process.once('SIGTERM', () => {
  server.close(() => void close())
})
