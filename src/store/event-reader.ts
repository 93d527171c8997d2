import type Database from 'better-sqlite3'
import type { Cursor, LogBounds } from '../protocol/protocol.ts'
import { eventPage, fitting } from './event-page.ts'
import type { Segment } from './store.ts'

type Of = { readonly id: string }

const session = '(SELECT num FROM sessions WHERE id = :id)'
const unplaced = "(SELECT value FROM marks WHERE name = 'placed')"

interface BoundsRow {
  readonly oldest: number | null
  readonly head: number | null
}

interface Ends {
  readonly first: number
  readonly last: number
}

interface SegmentRow extends Ends {
  readonly size: number
}

/** The events of one session, those that have their place and those that have none yet. */
export class EventReader {
  readonly #db: Database.Database
  readonly #sql: ReturnType<typeof prepareAll>

  constructor(db: Database.Database) {
    this.#db = db
    this.#sql = prepareAll(db)
  }

  bounds(sessionId: string): LogBounds {
    return this.#atOnce(() => {
      const placed = this.#sql.placedBounds.get({ id: sessionId })
      const unplaced = this.#sql.unplacedBounds.get({ id: sessionId })
      return { oldest: placed?.oldest ?? unplaced?.oldest ?? 0, head: unplaced?.head ?? placed?.head ?? 0 }
    })
  }

  page(sessionId: string, after: Cursor): Segment | undefined {
    return this.#atOnce(() => {
      const range = { id: sessionId, after, limit: eventPage.segments }
      const placed = fitting(this.#sql.placed.all(range))
      if (placed.length > 0) return joined(placed, (ends) => this.#sql.placedTexts.all({ id: sessionId, ...ends }))
      const unplaced = fitting(this.#sql.unplaced.all(range))
      return joined(unplaced, (ends) => this.#sql.unplacedTexts.all({ id: sessionId, ...ends }))
    })
  }

  /** Runs several statements on one state of the database: rows must not get their place in between. */
  #atOnce<T>(read: () => T): T {
    return this.#db.transaction(read).deferred()
  }
}

function prepareAll(db: Database.Database) {
  return {
    placedBounds: db.prepare<Of, BoundsRow>(`
      SELECT (SELECT first FROM event_places WHERE session = s.num ORDER BY first LIMIT 1) AS oldest,
        (SELECT last FROM event_places WHERE session = s.num ORDER BY first DESC LIMIT 1) AS head
      FROM sessions s WHERE s.id = :id`),
    unplacedBounds: db.prepare<Of, BoundsRow>(`
      SELECT min(first) AS oldest, max(last) AS head FROM events WHERE id > ${unplaced} AND session = ${session}`),
    placed: db.prepare<Of & { after: number; limit: number }, SegmentRow>(`
      SELECT first, last, size FROM event_places
      WHERE session = ${session} AND last > :after AND first >= coalesce((SELECT max(first) FROM event_places
        WHERE session = ${session} AND first <= :after + 1), 0)
      ORDER BY first LIMIT :limit`),
    placedTexts: db.prepare<Of & Ends, { readonly text: string }>(`
      SELECT e.text FROM event_places p JOIN events e ON e.id = p.id
      WHERE p.session = ${session} AND p.first BETWEEN :first AND :last ORDER BY p.first`),
    unplaced: db.prepare<Of & { after: number; limit: number }, SegmentRow>(`
      SELECT first, last, octet_length(text) AS size FROM events
      WHERE id > ${unplaced} AND session = ${session} AND last > :after ORDER BY id LIMIT :limit`),
    unplacedTexts: db.prepare<Of & Ends, { readonly text: string }>(`
      SELECT text FROM events
      WHERE id > ${unplaced} AND session = ${session} AND first BETWEEN :first AND :last ORDER BY id`),
  }
}

/** One segment of several that follow one another. */
function joined(
  segments: readonly SegmentRow[],
  texts: (ends: Ends) => readonly { readonly text: string }[],
): Segment | undefined {
  const [first, last] = [segments.at(0), segments.at(-1)]
  if (first === undefined || last === undefined) return undefined
  const ends = { first: first.first, last: last.last }
  const text = texts(ends).map((row) => row.text)
  return { ...ends, text: text.join('') }
}
