import type Database from 'better-sqlite3'
import { type Cursor, type FleetSession, frame, type LogBounds } from '../protocol/protocol.ts'
import { eventPage, fitting } from './event-page.ts'
import { decodeFleetPlace, encodeFleetPlace } from './page-cursor.ts'
import type { FleetFilter, FleetSessions, Segment } from './store.ts'
import type { StoredRows } from './stored-rows.ts'

/** The numbers of a session and all below it. */
export const tree = `(WITH RECURSIVE below (num, id) AS (SELECT num, id FROM sessions WHERE id = :session
  UNION SELECT s.num, s.id FROM sessions s JOIN below b ON s.parent_id = b.id) SELECT num FROM below)`

interface ShownRow {
  readonly num: number
  readonly id: string
  readonly record: string
}

interface BoundsRow {
  readonly oldest: number | null
  readonly head: number | null
}

/** What is told over all sessions, and how each is shown there. */
export class FleetReader {
  readonly #db: Database.Database
  readonly #sql: ReturnType<typeof prepareAll>
  readonly #rows: StoredRows

  constructor(db: Database.Database, rows: StoredRows) {
    this.#db = db
    this.#sql = prepareAll(db)
    this.#rows = rows
  }

  session(id: string): FleetSession | undefined {
    const row = this.#sql.session.get({ id })
    return row && this.#shown(id, row.record)
  }

  sessions({ session, agent, children = session !== undefined, limit, cursor }: FleetFilter): FleetSessions {
    const place = cursor === undefined ? undefined : decodeFleetPlace(cursor)
    const read = this.#db.transaction((): FleetSessions => {
      const head = place?.head ?? this.bounds().head
      const rows = this.#sql.sessions[session === undefined ? 'everywhere' : 'below'].all({
        agent: agent ?? null,
        children: Number(children),
        num: place?.num ?? Number.MAX_SAFE_INTEGER,
        limit: limit + 1,
        ...(session === undefined ? {} : { session }),
      })
      const shown = rows.slice(0, limit)
      const last = rows.length > limit ? shown.at(-1) : undefined
      const next = last && encodeFleetPlace({ num: last.num, head })
      return { entries: shown.flatMap((row) => this.#shown(row.id, row.record) ?? []), next, head }
    })
    return read.deferred()
  }

  #shown(id: string, json: string): FleetSession | undefined {
    return this.#rows.readable('fleet_session', { json, session: id, id: undefined, own: { id } })
  }

  bounds(): LogBounds {
    const { oldest, head } = this.#sql.bounds.get() ?? {}
    return { oldest: oldest ?? 0, head: head ?? 0 }
  }

  page(after: Cursor): Segment | undefined {
    const rows = this.#sql.events.all({ after, limit: eventPage.segments })
    const whole = rows.map((row) => ({ ...row, isWhole: this.#isWhole(row) }))
    const begin = whole.findIndex(({ isWhole }) => isWhole)
    const last = rows.at(-1)
    // Nothing of it can be read: what follows comes next.
    if (begin === -1) return last && { first: last.seq + 1, last: last.seq, text: '', lacks: 'damaged' }
    const end = whole.findIndex(({ isWhole }, index) => index > begin && !isWhole)
    const frames = whole
      .slice(begin, end === -1 ? undefined : end)
      .map(({ seq, text }) => ({ seq, text: frame(seq, text) }))
    const shown = fitting(frames.map((one) => ({ ...one, size: Buffer.byteLength(one.text) })))
    const [first, newest] = [shown.at(0), shown.at(-1)]
    if (first === undefined || newest === undefined) return undefined
    const text = shown.map((one) => one.text).join('')
    return { first: first.seq, last: newest.seq, text, ...(begin > 0 ? { lacks: 'damaged' } : {}) }
  }

  #isWhole({ seq, text }: { readonly seq: number; readonly text: string }): boolean {
    const isLine = !text.includes('\n') && text.startsWith('{"type":"')
    return isLine && this.#rows.readable('fleet_event', { json: text, session: undefined, id: seq }) !== undefined
  }
}

function shownSessions(db: Database.Database, where: string) {
  return db.prepare<Record<string, string | number | null>, ShownRow>(`
    SELECT num, id, fleet AS record FROM sessions
    WHERE ${where} AND fleet IS NOT NULL AND num < :num AND (:children OR parent_id IS NULL)
      AND (:agent IS NULL OR agent = :agent)
    ORDER BY num DESC LIMIT :limit`)
}

function prepareAll(db: Database.Database) {
  return {
    session: db.prepare<{ readonly id: string }, { readonly record: string }>(
      'SELECT fleet AS record FROM sessions WHERE id = :id AND fleet IS NOT NULL',
    ),
    sessions: { everywhere: shownSessions(db, 'true'), below: shownSessions(db, `num IN ${tree}`) },
    // Apart, because SQLite reads the whole table for `min` and `max` at once.
    bounds: db.prepare<[], BoundsRow>(
      'SELECT (SELECT min(seq) FROM fleet_events) AS oldest, (SELECT max(seq) FROM fleet_events) AS head',
    ),
    events: db.prepare<{ after: number; limit: number }, { readonly seq: number; readonly text: string }>(
      'SELECT seq, text FROM fleet_events WHERE seq > :after ORDER BY seq LIMIT :limit',
    ),
  }
}
