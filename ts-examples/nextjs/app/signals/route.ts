import { loop } from '../loop'

// signalloop is native: it needs the Node.js runtime, not the edge runtime.
export const runtime = 'nodejs'
export const dynamic = 'force-dynamic'

/** Records a signal. */
export async function POST(request: Request): Promise<Response> {
  try {
    return Response.json({ recorded: await loop().feedbackTracker.recordSignal(await request.json()) }, { status: 201 })
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    return Response.json({ code, message }, { status: code?.startsWith('ERR_INVALID') ? 400 : 500 })
  }
}

/** Statistics of the signals. */
export async function GET(): Promise<Response> {
  return Response.json(await loop().feedbackTracker.getStats())
}
