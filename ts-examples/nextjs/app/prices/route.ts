import { loop } from '../loop'

export const runtime = 'nodejs'

/** Closes the signals that this price hits. */
export async function POST(request: Request): Promise<Response> {
  const { pair, price } = await request.json()
  return Response.json(await loop().feedbackTracker.onPrice(pair, price))
}
