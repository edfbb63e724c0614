// better-sqlite3, installed on demand into benches/peers, and signals in a table of it.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../peers/', import.meta.url))
const load = createRequire(join(FOLDER, 'package.json'))

function attempt() {
  const Database = load('better-sqlite3')
  const database = new Database(':memory:')
  const { sqlite } = database.prepare('SELECT sqlite_version() AS sqlite').get()
  database.close()
  return { Database, version: `${load('better-sqlite3/package.json').version} (SQLite ${sqlite})` }
}

/** `{ Database, version }`, or `{ missing }` with the reason why there is none. */
export function betterSqlite3() {
  try {
    return attempt()
  } catch {
    // Not installed yet, or for another version of Node.
  }
  console.error('installing better-sqlite3 into benches/peers …')
  const shell = process.platform === 'win32'
  const npm = spawnSync('npm', ['install', '--no-audit', '--no-fund'], { cwd: FOLDER, encoding: 'utf8', shell })
  try {
    return attempt()
  } catch (error) {
    const said = npm.stderr?.split('\n').find((line) => /error/i.test(line))
    return { missing: `better-sqlite3 cannot be installed: ${said ?? npm.error?.message ?? error.message}` }
  }
}

const COLUMNS = 'id, symbol, timeframe, signal_type, entry_price, stop_loss, take_profit, timestamp, outcome, json'

/** A table of signals in a database of its own, in WAL mode, synchronous FULL or OFF. */
export class SqliteSignals {
  constructor(Database, folder, synchronous) {
    this.database = new Database(join(folder, `signals-${synchronous}.sqlite`))
    this.database.pragma('journal_mode = WAL')
    this.database.pragma(`synchronous = ${synchronous}`)
    this.database.exec(
      `CREATE TABLE signals (id TEXT PRIMARY KEY, symbol TEXT, timeframe TEXT, signal_type TEXT, entry_price REAL,
        stop_loss REAL, take_profit REAL, timestamp TEXT, outcome TEXT, json TEXT) WITHOUT ROWID`,
    )
    this.statement = this.database.prepare(`INSERT INTO signals (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'ACTIVE', ?)`)
    this.insertAll = this.database.transaction((signals) => signals.forEach((signal) => this.insert(signal)))
  }

  insert(s) {
    const json = JSON.stringify(s)
    this.statement.run(s.id, s.pair, s.timeframe, s.signalType, s.entryPrice, s.stopLoss, s.takeProfit, s.timestamp, json)
  }

  close() {
    this.database.close()
  }
}
