/**
 * signalloop in a Fastify backend: it receives signals and prices, and returns statistics, assessments and metrics. The error code decides
 * the HTTP status.
 *
 *     npm run fastify
 */
import Fastify from 'fastify'
import { close, feedbackTracker, metrics, type AssessInput, type SignalInput } from 'signalloop'

const app = Fastify()

app.post<{ Body: SignalInput }>('/signals', async (request, reply) => {
  await feedbackTracker.recordSignal(request.body)
  return reply.code(201).send()
})
app.post<{ Body: AssessInput }>('/assess', (request) => feedbackTracker.assess(request.body))
app.post<{ Body: { pair: string; price: number } }>('/prices', ({ body }) => feedbackTracker.onPrice(body.pair, body.price))
app.get('/stats', () => feedbackTracker.getStats())
app.get('/metrics', async (_request, reply) => reply.type('text/plain; version=0.0.4').send(await metrics()))

app.setErrorHandler<Error & { code?: string }>(({ code, message }, _request, reply) => {
  const status = code?.startsWith('ERR_INVALID') ? 400 : code === 'ERR_SIGNAL_CONFLICT' ? 409 : 500
  return reply.code(status).send({ code, message })
})
// Ends with the server: what is under way is waited for.
app.addHook('onClose', () => close())
process.once('SIGTERM', () => void app.close())

async function main(): Promise<void> {
  const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: '127.0.0.1' })
  console.log(`listening on ${url}`)
}

void main()
