import type Database from 'better-sqlite3'
import { Cleaner } from './cleaner.ts'
import { type LooseRow, mergedRows, mergeLimits, smallRow } from './row-merge.ts'
import { type Row, statements } from './rows.ts'
import { codeOf, severityOf } from './sqlite-error.ts'
import { WriterConnection } from './writer-connection.ts'

/** A group as it crosses to the writer's thread. */
export interface RowGroup {
  readonly session_id: string
  readonly rows: readonly Row[]
}

/** Rows that wait for their place in the index; a read may have to scan as many. */
const unplacedLimit = 4096
/** Frames of 4 KiB in the write-ahead log at which they are moved to the database. */
const logLimit = 2048
/** Bytes that there must be room for. */
const probeSize = 1024 * 1024

/** Everything that writes to the database, on the connection that is the only one to do so. */
export class Writer {
  readonly cleaner: Cleaner
  readonly #connection: WriterConnection
  readonly #logSize: Database.Statement<[], { readonly log: number }>
  #unplaced = unplacedLimit

  /** Opens the connection and gives every event its place. Throws what SQLite throws. */
  constructor(path: string) {
    this.#connection = new WriterConnection(path)
    this.cleaner = new Cleaner(this.#connection, this)
    this.#logSize = this.#connection.db.prepare('PRAGMA wal_checkpoint(NOOP)')
    this.tidy()
  }

  /**
   * Commits groups in order, in one transaction. Answers per group the code of what failed, if
   * something did: a statement fails its group and the later ones of its session. Throws when nothing was committed.
   */
  commit(groups: readonly RowGroup[]): readonly (string | undefined)[] {
    try {
      this.#connection.transaction(() => {
        for (const { rows } of groups) this.#apply(rows)
      })
      return groups.map(() => undefined)
    } catch (error) {
      if (severityOf(codeOf(error)) !== 'statement') throw error
      return this.#connection.transaction(() => this.#applyApart(groups))
    }
  }

  /** What is due between two batches: places for events, and the log's way into the database. */
  tidy(): void {
    if (this.#unplaced >= unplacedLimit) this.place()
    if (this.#logFrames() >= logLimit) this.#connection.db.pragma('wal_checkpoint(PASSIVE)')
  }

  /** Gives every event its place. */
  place(): void {
    if (this.#unplaced === 0) return
    this.#connection.transaction(() => this.#placeAll())
  }

  /**
   * Writes for the sake of it, in the log and in the database, after making what room can be made, and as much as makes it
   * worth going on: something small may find room in a log that was emptied although the disk is full. Throws while that is
   * impossible.
   */
  probe(): void {
    this.#connection.db.pragma('wal_checkpoint(PASSIVE)')
    for (const size of [probeSize, 0]) {
      const sql = "UPDATE marks SET value = zeroblob(?) WHERE name = 'probe'"
      this.#connection.transaction(() => this.#connection.run(sql, size))
      this.#connection.db.pragma('wal_checkpoint(PASSIVE)')
    }
  }

  /** Moves the log into the database, if it can, and closes the connection. */
  close(): void {
    try {
      this.#connection.db.pragma('wal_checkpoint(TRUNCATE)')
    } catch {
      // The log stays beside the database with every commit in it, and the next owner finds it.
    }
    this.#connection.db.close()
  }

  #logFrames(): number {
    return this.#logSize.get()?.log ?? 0
  }

  #apply(rows: readonly Row[]): void {
    for (const { kind, values } of rows) {
      this.#connection.run(statements[kind], ...values)
      if (kind === 'events.append') this.#unplaced += 1
    }
  }

  /** The way to find out whose statement fails: three times the cost, so only after one has. */
  #applyApart(groups: readonly RowGroup[]): readonly (string | undefined)[] {
    const broken = new Map<string, string>()
    return groups.map(({ session_id, rows }) => {
      const code = broken.get(session_id) ?? this.#tryApply(rows)
      if (code !== undefined) broken.set(session_id, code)
      return code
    })
  }

  #tryApply(rows: readonly Row[]): string | undefined {
    this.#connection.run('SAVEPOINT one_group')
    try {
      this.#apply(rows)
      return undefined
    } catch (error) {
      const code = codeOf(error)
      if (severityOf(code) !== 'statement') throw error
      this.#connection.run('ROLLBACK TO one_group')
      return code
    } finally {
      if (this.#connection.db.inTransaction) this.#connection.run('RELEASE one_group')
    }
  }

  #placeAll(): void {
    this.#merge()
    // A place that is taken stays: the first event with a seq counts.
    this.#connection.run(`INSERT OR IGNORE INTO event_places SELECT session, first, last, octet_length(text), id FROM events
      WHERE id > (SELECT value FROM marks WHERE name = 'placed') ORDER BY session, first`)
    this.#connection.run(`UPDATE marks SET value = (SELECT coalesce(max(id), 0) FROM events) WHERE name = 'placed'`)
    this.#unplaced = 0
  }

  /** Makes one row of many small ones of a session: a replay would otherwise find each on a page of its own. */
  #merge(): void {
    const loose = this.#connection.db.prepare<[], LooseRow>(`
      WITH loose AS (SELECT * FROM events WHERE id > (SELECT value FROM marks WHERE name = 'placed'))
      SELECT id, session, first, last, at, octet_length(text) AS size,
        CASE WHEN octet_length(text) <= ${smallRow} THEN text END AS text
      FROM loose WHERE session IN (SELECT session FROM loose GROUP BY session HAVING count(*) >= ${mergeLimits.rows})
      ORDER BY session, first`)
    const merged = mergedRows(loose.all(), (num) => this.#placedHead(num))
    if (merged.length === 0) return
    const ids = JSON.stringify(merged.flatMap((row) => row.ids))
    this.#connection.run('DELETE FROM events WHERE id IN (SELECT value FROM json_each(?))', ids)
    for (const { session, first, last, at, text } of merged) {
      const sql = 'INSERT INTO events (session, first, last, at, text) VALUES (?, ?, ?, ?, ?)'
      this.#connection.run(sql, session, first, last, at, text)
    }
  }

  #placedHead(num: number): number {
    const [head = 0] = this.#connection.column(
      'SELECT last FROM event_places WHERE session = ? ORDER BY first DESC LIMIT 1',
      num,
    )
    return head
  }
}
