import type Database from 'better-sqlite3'
import { type Aged, type Policy, retired } from './retention.ts'
import { type LooseRow, mergedRows, mergeLimits, smallRow } from './row-merge.ts'
import { type Row, statements } from './rows.ts'
import { openConnection } from './sqlite-connection.ts'
import { codeOf, severityOf } from './sqlite-error.ts'

/** A group as it crosses to the writer's thread. */
export interface RowGroup {
  readonly session_id: string
  readonly rows: readonly Row[]
}

/** Rows that wait for their place in the index; a read may have to scan as many. */
const unplacedLimit = 4096
/** Frames of 4 KiB in the write-ahead log at which they are moved to the database. */
const logLimit = 2048
/** Steps of long work, each a transaction of a few milliseconds. */
const step = { segments: 128, sessions: 64, keys: 256, pages: 256, vacuum: 64 } as const

/** A segment that has its place. */
interface PlacedRow extends Aged {
  readonly id: number
}

/** Everything that writes to the database, on the connection that is the only one to do so. */
export class Writer {
  readonly #db: Database.Database
  readonly #statements = new Map<string, Database.Statement<unknown[], unknown>>()
  readonly #logSize: Database.Statement<[], { readonly log: number }>
  #unplaced = unplacedLimit

  /** Opens the connection and gives every event its place. Throws what SQLite throws. */
  constructor(path: string) {
    this.#db = openConnection(path)
    this.#logSize = this.#db.prepare('PRAGMA wal_checkpoint(NOOP)')
    this.tidy()
  }

  /**
   * Commits groups in order, in one transaction. Answers per group the code of what failed, if
   * something did: a statement fails its group and the later ones of its session. Throws when nothing was committed.
   */
  commit(groups: readonly RowGroup[]): readonly (string | undefined)[] {
    try {
      this.#transaction(() => {
        for (const { rows } of groups) this.#apply(rows)
      })
      return groups.map(() => undefined)
    } catch (error) {
      if (severityOf(codeOf(error)) !== 'statement') throw error
      return this.#transaction(() => this.#applyApart(groups))
    }
  }

  /** What is due between two batches: places for events, and the log's way into the database. */
  tidy(): void {
    if (this.#unplaced >= unplacedLimit) this.#transaction(() => this.#place())
    if (this.#logFrames() >= logLimit) this.#db.pragma('wal_checkpoint(PASSIVE)')
  }

  /** Writes for the sake of it, after making what room can be made. Throws while writing is impossible. */
  probe(): void {
    this.#db.pragma('wal_checkpoint(PASSIVE)')
    this.#transaction(() => this.#run("UPDATE marks SET value = value + 1 WHERE name = 'probe'"))
  }

  /** Removes old events in small steps; ends with how many segments. */
  *retain(policy: Policy): Generator<void, number> {
    this.#transaction(() => this.#place())
    let removed = 0
    let num = 0
    for (;;) {
      const nums = this.#column('SELECT num FROM sessions WHERE num > ? ORDER BY num LIMIT ?', num, step.sessions)
      if (nums.length === 0) break
      for (num of nums) removed += yield* this.#repeat(() => this.#retainStep(num, policy))
      yield
    }
    yield* this.#shrink()
    return removed
  }

  /** Removes idempotency keys made before an instant, in small steps; ends with how many. */
  *forgetKeys(before: number): Generator<void, number> {
    const sql = `DELETE FROM idempotency_keys WHERE num IN
      (SELECT num FROM idempotency_keys WHERE created < ? ORDER BY num LIMIT ?)`
    return yield* this.#repeat(() => this.#transaction(() => this.#run(sql, before, step.keys)))
  }

  /** Removes the events of deleted sessions in small steps; ends with how many segments. */
  *sweep(): Generator<void, number> {
    let removed = 0
    for (;;) {
      const [num] = this.#column('SELECT session FROM dropped LIMIT 1')
      if (num === undefined) break
      this.#transaction(() => this.#place())
      yield
      removed += yield* this.#repeat(() => this.#remove(num, this.#oldest(num, step.segments)))
      this.#transaction(() => this.#run('DELETE FROM dropped WHERE session = ?', num))
    }
    if (removed > 0) yield* this.#shrink()
    return removed
  }

  /** Moves the log into the database, if it can, and closes the connection. */
  close(): void {
    try {
      this.#db.pragma('wal_checkpoint(TRUNCATE)')
    } catch {
      // The log stays beside the database with every commit in it, and the next owner finds it.
    }
    this.#db.close()
  }

  #logFrames(): number {
    return this.#logSize.get()?.log ?? 0
  }

  #apply(rows: readonly Row[]): void {
    for (const { kind, values } of rows) {
      this.#run(statements[kind], ...values)
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
    this.#run('SAVEPOINT one_group')
    try {
      this.#apply(rows)
      return undefined
    } catch (error) {
      const code = codeOf(error)
      if (severityOf(code) !== 'statement') throw error
      this.#run('ROLLBACK TO one_group')
      return code
    } finally {
      if (this.#db.inTransaction) this.#run('RELEASE one_group')
    }
  }

  #transaction<T>(work: () => T): T {
    this.#run('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.#run('COMMIT')
      return result
    } catch (error) {
      // Some failures end the transaction by themselves.
      if (this.#db.inTransaction) this.#run('ROLLBACK')
      throw error
    }
  }

  #place(): void {
    this.#merge()
    // A place that is taken stays: the first event with a seq counts.
    this.#run(`INSERT OR IGNORE INTO event_places SELECT session, first, last, octet_length(text), id FROM events
      WHERE id > (SELECT value FROM marks WHERE name = 'placed') ORDER BY session, first`)
    this.#run(`UPDATE marks SET value = (SELECT coalesce(max(id), 0) FROM events) WHERE name = 'placed'`)
    this.#unplaced = 0
  }

  /** Makes one row of many small ones of a session: a replay would otherwise find each on a page of its own. */
  #merge(): void {
    const loose = this.#db.prepare<[], LooseRow>(`
      WITH loose AS (SELECT * FROM events WHERE id > (SELECT value FROM marks WHERE name = 'placed'))
      SELECT id, session, first, last, at, octet_length(text) AS size,
        CASE WHEN octet_length(text) <= ${smallRow} THEN text END AS text
      FROM loose WHERE session IN (SELECT session FROM loose GROUP BY session HAVING count(*) >= ${mergeLimits.rows})
      ORDER BY session, first`)
    const merged = mergedRows(loose.all(), (num) => this.#placedHead(num))
    if (merged.length === 0) return
    const ids = JSON.stringify(merged.flatMap((row) => row.ids))
    this.#run('DELETE FROM events WHERE id IN (SELECT value FROM json_each(?))', ids)
    for (const { session, first, last, at, text } of merged) {
      const sql = 'INSERT INTO events (session, first, last, at, text) VALUES (?, ?, ?, ?, ?)'
      this.#run(sql, session, first, last, at, text)
    }
  }

  #placedHead(num: number): number {
    const [head = 0] = this.#column('SELECT last FROM event_places WHERE session = ? ORDER BY first DESC LIMIT 1', num)
    return head
  }

  #retainStep(num: number, policy: Policy): number {
    const head = this.#placedHead(num)
    const oldest = this.#oldest(num, step.segments + 1)
    return this.#remove(num, oldest.slice(0, retired(oldest.slice(0, -1), head, policy)))
  }

  #oldest(num: number, limit: number): readonly PlacedRow[] {
    const oldest = this.#db.prepare<[number, number], PlacedRow>(
      `SELECT p.id, p.last, e.at FROM event_places p JOIN events e ON e.id = p.id
        WHERE p.session = ? ORDER BY p.first LIMIT ?`,
    )
    return oldest.all(num, limit)
  }

  /** Removes the oldest segments of a session. */
  #remove(num: number, oldest: readonly PlacedRow[]): number {
    const last = oldest.at(-1)?.last
    if (last === undefined) return 0
    this.#transaction(() => {
      this.#run('DELETE FROM event_places WHERE session = ? AND first <= ?', num, last)
      for (const { id } of oldest) this.#run('DELETE FROM events WHERE id = ?', id)
      // SQLite gives the next row the highest id plus one, so a mark above it would hide that row.
      this.#run(`UPDATE marks SET value = min(value, (SELECT coalesce(max(id), 0) FROM events)) WHERE name = 'placed'`)
    })
    return oldest.length
  }

  /** Repeats a step that answers how many rows it removed until there is nothing left; ends with the sum. */
  *#repeat(remove: () => number): Generator<void, number> {
    let removed = 0
    for (let found = remove(); found > 0; found = remove()) {
      removed += found
      yield
    }
    return removed
  }

  *#shrink(): Generator<void, void> {
    for (let steps = 0; steps < step.vacuum; steps += 1) {
      const [free = 0] = this.#column('PRAGMA freelist_count')
      if (free === 0) return
      this.#db.pragma(`incremental_vacuum(${step.pages})`)
      this.tidy()
      yield
    }
  }

  #column(sql: string, ...values: unknown[]): readonly number[] {
    return this.#prepare(sql)
      .pluck()
      .all(...values)
      .map(Number)
  }

  #run(sql: string, ...values: unknown[]): number {
    return this.#prepare(sql).run(...values).changes
  }

  #prepare(sql: string): Database.Statement<unknown[], unknown> {
    const statement = this.#statements.get(sql) ?? this.#db.prepare<unknown[], unknown>(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}
