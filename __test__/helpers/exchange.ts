import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { spawnKept } from './child'
import type { ExchangeName } from '../..'

const CLI = join(__dirname, '..', '..', 'bin', 'signalloop.js')

/** A simulated exchange that serves the REST protocol of an exchange on this machine. */
export interface Exchange {
  url: string
  /** The market's time. */
  nowMs: number
  stop(): Promise<void>
}

export interface ExchangeOptions {
  /** Default `binance`. */
  exchange?: ExchangeName
  seed?: number
  symbols?: string[]
  /** Not traded any more; `MATICUSDT=60` says for how many days. */
  delisted?: string[]
  days?: number
  /** Strength of the hidden rule, 0 to 2. */
  rule?: number
}

/** Starts `signalloop simulator` and waits until it serves. */
export async function startExchange({ exchange, seed = 1, symbols = ['BTCUSDT'], delisted = [], days = 60, rule }: ExchangeOptions = {}): Promise<Exchange> {
  const args = [CLI, 'simulator', '--port', '0', '--seed', `${seed}`, '--symbols', symbols.join(','), '--days', `${days}`]
  if (exchange !== undefined) args.push('--exchange', exchange)
  if (rule !== undefined) args.push('--rule', `${rule}`)
  if (delisted.length > 0) args.push('--delisted', delisted.join(','))
  const child = spawnKept(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let complaint = ''
  child.stderr.on('data', (text) => (complaint += text))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const first = new Promise<string>((resolve) => createInterface({ input: child.stdout }).once('line', resolve))
  const line = await Promise.race([
    first,
    ended.then((code) => Promise.reject(new Error(`the simulator ended with ${code}: ${complaint}`))),
  ])
  const { url, nowMs } = JSON.parse(line) as { url: string; nowMs: number }
  return {
    url,
    nowMs,
    async stop() {
      child.kill()
      await ended
    },
  }
}
