import { fitting } from './event-page.ts'
import { type Aged, type Policy, retired } from './retention.ts'
import { thinned } from './thinning.ts'
import type { WriterConnection } from './writer-connection.ts'

/** Steps of long work, each a transaction of a few milliseconds. */
const step = { segments: 128, sessions: 64, rows: 256, pages: 256 } as const

/** What is no JSON says nothing, and stays. */
const readable = `iif(json_valid(record), record, '{}')`

/** Records that end: where they say when, and which of them stay for all that. */
const records = {
  runs: {
    ended: `json_extract(${readable}, '$.ended_at')`,
    needed: 'num = (SELECT max(num) FROM runs r WHERE r.session = runs.session)',
  },
  requests: {
    ended: `json_extract(${readable}, '$.settled_at')`,
    // A run that goes on after a crash asks again, and must find the answer.
    needed: `json_extract(${readable}, '$.run_id') IN
      (SELECT id FROM runs r WHERE r.session = requests.session AND r.status = 'running')`,
  },
  inputs: {
    // Those of earlier versions do not say when they were settled.
    ended: `coalesce(json_extract(${readable}, '$.settled_at'), json_extract(${readable}, '$.created_at'))`,
    needed: `state IN ('queued', 'held')`,
  },
} as const

/** A segment that has its place. */
interface PlacedRow extends Aged {
  readonly id: number
}

interface SizedRow {
  readonly id: number
  readonly at: number
  readonly size: number
}

interface Dependent {
  readonly name: string
  readonly column: string
}

/** Gives every event its place, and lets the log have its way into the database. */
export interface Tidying {
  place(): void
  tidy(): void
}

/**
 * Removes what is not kept any longer. All of it is long work in small steps, to be taken between two commits, and each step
 * is committed: what is left where it is can be begun anew.
 */
export class Cleaner {
  readonly #connection: WriterConnection
  readonly #tidying: Tidying
  /** The tables whose rows belong to a session. */
  readonly #dependents: readonly Dependent[]

  constructor(connection: WriterConnection, tidying: Tidying) {
    this.#connection = connection
    this.#tidying = tidying
    const sql = `SELECT t.name, f."from" AS "column" FROM sqlite_schema t, pragma_foreign_key_list(t.name) f
      WHERE t.type = 'table' AND f."table" = 'sessions'`
    this.#dependents = connection.db.prepare<[], Dependent>(sql).all()
  }

  /** Removes old events; ends with how many segments. */
  *retain(policy: Policy): Generator<void, number> {
    this.#tidying.place()
    let removed = 0
    let num = 0
    for (;;) {
      const sql = 'SELECT num FROM sessions WHERE num > ? ORDER BY num LIMIT ?'
      const nums = this.#connection.column(sql, num, step.sessions)
      if (nums.length === 0) break
      for (num of nums) removed += yield* this.#repeat(() => this.#retainStep(num, policy))
      yield
    }
    yield* this.#shrink()
    return removed
  }

  /** Takes pieces out of old segments; ends with how many segments have changed. */
  *thin(before: number): Generator<void, number> {
    this.#tidying.place()
    let changed = 0
    for (;;) {
      const rows = this.#unthinned(before)
      if (rows.length === 0) break
      changed += this.#thinStep(rows.map(({ id }) => id))
      yield
    }
    yield* this.#shrink()
    return changed
  }

  /** Removes the oldest that was told over all sessions; ends with how much. */
  *retainFleet(policy: Policy): Generator<void, number> {
    const [head = 0] = this.#connection.column('SELECT max(seq) FROM fleet_events')
    const removed = yield* this.#repeat(() => this.#retainFleetStep(head, policy))
    yield* this.#shrink()
    return removed
  }

  /** Removes what ended long ago in sessions that go on; ends with how much. */
  *forgetRecords(before: number): Generator<void, number> {
    let removed = 0
    for (const [table, { ended, needed }] of Object.entries(records)) {
      removed += yield* this.#removeFrom(table, `unixepoch(${ended}) < ? AND NOT (${needed})`, before / 1000)
    }
    yield* this.#shrink()
    return removed
  }

  /** Removes idempotency keys made before an instant; ends with how many. */
  *forgetKeys(before: number): Generator<void, number> {
    const removed = yield* this.#removeFrom('idempotency_keys', 'created < ?', before)
    yield* this.#shrink()
    return removed
  }

  /** Removes what belonged to deleted sessions; ends with how much. Of many at once: commits for each take longer than its deletion. */
  *sweep(): Generator<void, number> {
    let removed = 0
    for (;;) {
      const nums = this.#connection.column('SELECT session FROM dropped ORDER BY session LIMIT ?', step.sessions)
      if (nums.length === 0) break
      this.#tidying.place()
      yield
      const gone = JSON.stringify(nums)
      for (const { name, column } of this.#dependents) {
        const sql = `DELETE FROM ${name} WHERE rowid IN
          (SELECT rowid FROM ${name} WHERE ${column} IN (SELECT value FROM json_each(?)) LIMIT ?)`
        removed += yield* this.#repeat(() => this.#delete(sql, gone, step.rows))
      }
      for (const num of nums) removed += yield* this.#repeat(() => this.#remove(num, this.#oldest(num, step.segments)))
      removed += this.#delete('DELETE FROM dropped WHERE session IN (SELECT value FROM json_each(?))', gone)
      yield
    }
    if (removed > 0) yield* this.#shrink()
    return removed
  }

  #retainStep(num: number, policy: Policy): number {
    const [head = 0] = this.#connection.column(
      'SELECT last FROM event_places WHERE session = ? ORDER BY first DESC LIMIT 1',
      num,
    )
    // Of a run that goes on, the log is the only one to say what it has done.
    const [needed = Number.POSITIVE_INFINITY] = this.#connection.column(
      `SELECT first_seq FROM runs WHERE session = ? AND status = 'running' ORDER BY first_seq LIMIT 1`,
      num,
    )
    const oldest = this.#oldest(num, step.segments + 1)
    const free = oldest.slice(0, -1).filter(({ last }) => last < needed)
    return this.#remove(num, oldest.slice(0, retired(free, head, policy)))
  }

  #retainFleetStep(head: number, policy: Policy): number {
    const sql = 'SELECT seq AS last, at FROM fleet_events WHERE seq < ? ORDER BY seq LIMIT ?'
    const oldest = this.#connection.db.prepare<[number, number], Aged>(sql).all(head, step.rows)
    const last = oldest[retired(oldest, head, policy) - 1]?.last
    return last === undefined ? 0 : this.#delete('DELETE FROM fleet_events WHERE seq <= ?', last)
  }

  /** The next segments in the order of commits that are old and were never looked at: a page of them. */
  #unthinned(before: number): readonly SizedRow[] {
    const sql = `SELECT id, at, octet_length(text) AS size FROM events
      WHERE id > (SELECT value FROM marks WHERE name = 'thinned') AND id <= (SELECT value FROM marks WHERE name = 'placed')
      ORDER BY id LIMIT ?`
    const rows = this.#connection.db.prepare<[number], SizedRow>(sql).all(step.segments)
    const young = rows.findIndex(({ at }) => at >= before)
    return fitting(young === -1 ? rows : rows.slice(0, young))
  }

  #thinStep(ids: readonly number[]): number {
    const read = this.#connection.db.prepare<[string], { readonly id: number; readonly text: string }>(
      'SELECT id, text FROM events WHERE id IN (SELECT value FROM json_each(?))',
    )
    const changed = read.all(JSON.stringify(ids)).flatMap(({ id, text }) => {
      const rest = thinned(text)
      return rest === text ? [] : [{ id, text: rest }]
    })
    this.#connection.transaction(() => {
      for (const { id, text } of changed) {
        this.#connection.run(
          `UPDATE event_places SET size = ? WHERE (session, first) = (SELECT session, first FROM events WHERE id = ?) AND id = ?`,
          Buffer.byteLength(text),
          id,
          id,
        )
        this.#connection.run('UPDATE events SET text = ? WHERE id = ?', text, id)
      }
      this.#connection.run(`UPDATE marks SET value = ? WHERE name = 'thinned'`, ids.at(-1))
    })
    return changed.length
  }

  #oldest(num: number, limit: number): readonly PlacedRow[] {
    const oldest = this.#connection.db.prepare<[number, number], PlacedRow>(
      `SELECT p.id, p.last, e.at FROM event_places p JOIN events e ON e.id = p.id
        WHERE p.session = ? ORDER BY p.first LIMIT ?`,
    )
    return oldest.all(num, limit)
  }

  /** Removes the oldest segments of a session. */
  #remove(num: number, oldest: readonly PlacedRow[]): number {
    const last = oldest.at(-1)?.last
    if (last === undefined) return 0
    this.#connection.transaction(() => {
      this.#connection.run('DELETE FROM event_places WHERE session = ? AND first <= ?', num, last)
      for (const { id } of oldest) this.#connection.run('DELETE FROM events WHERE id = ?', id)
      // SQLite gives the next row the highest id plus one, so a mark above it would hide that row.
      this.#connection.run(`UPDATE marks SET value = min(value, (SELECT coalesce(max(id), 0) FROM events))
        WHERE name IN ('placed', 'thinned')`)
    })
    return oldest.length
  }

  /** Goes through a whole table, so many rows a step, whether they are due or not: to look at all of them takes long too. */
  *#removeFrom(table: string, isDue: string, value: number): Generator<void, number> {
    let removed = 0
    for (let num = 0; ; ) {
      const sql = `SELECT num FROM ${table} WHERE num > ? ORDER BY num LIMIT ?`
      const last = this.#connection.column(sql, num, step.rows).at(-1)
      if (last === undefined) return removed
      removed += this.#delete(`DELETE FROM ${table} WHERE num > ? AND num <= ? AND ${isDue}`, num, last, value)
      num = last
      yield
    }
  }

  #delete(sql: string, ...values: readonly unknown[]): number {
    return this.#connection.transaction(() => this.#connection.run(sql, ...values))
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

  /** Gives free pages back until there are none, or none can be given: a file that another version made may keep its pages. */
  *#shrink(): Generator<void, void> {
    for (let before = Number.POSITIVE_INFINITY; ; ) {
      const [free = 0] = this.#connection.column('PRAGMA freelist_count')
      if (free === 0 || free >= before) return
      before = free
      this.#connection.db.pragma(`incremental_vacuum(${step.pages})`)
      this.#tidying.tidy()
      yield
    }
  }
}
