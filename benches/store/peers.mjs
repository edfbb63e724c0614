// better-sqlite3, and signals in a table of it.
import { join } from 'node:path'
import { npmPeer } from '../shared/peers.mjs'

/** `{ Database, version }`, or `{ missing }` with the reason why there is none. */
export function betterSqlite3() {
  let sqlite
  const { module: Database, version, missing } = npmPeer('better-sqlite3', (Database) => {
    const database = new Database(':memory:')
    sqlite = database.prepare('SELECT sqlite_version() AS version').get().version
    database.close()
  })
  return missing ? { missing } : { Database, version: `${version} (SQLite ${sqlite})` }
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
    this.insertAll = this.database.transaction((signals) => {
      for (const signal of signals) this.insert(signal)
    })
  }

  insert(s) {
    const json = JSON.stringify(s)
    this.statement.run(s.id, s.pair, s.timeframe, s.signalType, s.entryPrice, s.stopLoss, s.takeProfit, s.timestamp, json)
  }

  close() {
    this.database.close()
  }
}
