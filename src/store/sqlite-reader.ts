import type Database from 'better-sqlite3'
import {
  type Cursor,
  type FleetSession,
  frame,
  type LogBounds,
  Refusal,
  type Request,
  type Run,
} from '../protocol/protocol.ts'
import type { Damage } from './damage.ts'
import { eventPage, fitting } from './event-page.ts'
import { decodeFleetPlace, decodePlace, encodeFleetPlace, encodePlace, instantOf } from './page-cursor.ts'
import { fold } from './rows.ts'
import { openConnection } from './sqlite-connection.ts'
import type {
  FleetFilter,
  FleetSessions,
  InputRecord,
  ItemRange,
  ItemRecord,
  KeyRecord,
  ListedSession,
  Page,
  RequestFilter,
  Segment,
  SessionFilter,
  SessionRecord,
} from './store.ts'
import type { Stored, StoredKind } from './stored-record.ts'
import { StoredRows } from './stored-rows.ts'

const endOfTime = Number.MAX_SAFE_INTEGER
const session = '(SELECT num FROM sessions WHERE id = :id)'
const tree = `(WITH RECURSIVE below (num, id) AS (SELECT num, id FROM sessions WHERE id = :session
  UNION SELECT s.num, s.id FROM sessions s JOIN below b ON s.parent_id = b.id) SELECT num FROM below)`
const listed = 'created AS at, id, title, starred, agent, parent_id, record'
const unplaced = "(SELECT value FROM marks WHERE name = 'placed')"

interface RecordRow {
  readonly record: string
}

interface ListedRow extends RecordRow {
  readonly id: string
}

/** What lists are ordered by. */
interface PlacedRow extends ListedRow {
  readonly at: number
}

interface SessionRow extends PlacedRow {
  readonly title: string
  readonly starred: number
  readonly agent: string | null
  readonly parent_id: string | null
}

interface OfSession {
  readonly session: string
}

interface ItemRow {
  readonly id: string
  readonly position: number
  readonly body: string
}

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

/** All reads, each a finished statement on one connection that cannot write. */
export class SqliteReader {
  readonly #db: Database.Database
  readonly #sql: ReturnType<typeof prepareAll>
  readonly #rows: StoredRows

  constructor(path: string, onDamage: (damage: Damage) => void = () => {}) {
    this.#db = openConnection(path, 'read')
    this.#rows = new StoredRows(onDamage)
    this.#sql = prepareAll(this.#db)
  }

  close(): void {
    this.#db.close()
  }

  session(id: string): SessionRecord | undefined {
    const row = this.#sql.session.get({ id })
    return row && this.#rows.need('session', sessionRow(row))
  }

  sessions(filter: SessionFilter): Page<ListedSession> {
    const place = filter.cursor === undefined ? undefined : decodePlace(filter.cursor)
    const rows = this.#sql.sessions.all({
      q: filter.q === undefined ? null : fold(filter.q),
      starred: filter.starred === undefined ? null : Number(filter.starred),
      agent: filter.agent ?? null,
      after: filter.created_after === undefined ? -endOfTime : instantOf(filter.created_after, 'created_after'),
      before: filter.created_before === undefined ? endOfTime : instantOf(filter.created_before, 'created_before'),
      at: place?.at ?? endOfTime,
      id: place?.id ?? '',
      limit: filter.limit + 1,
    })
    return pageOf(rows, filter.limit, (row) => this.#listed(row))
  }

  children(parentId: string): readonly ListedSession[] {
    return this.#sql.children.all({ id: parentId }).map((row) => this.#listed(row))
  }

  /** What columns say of a session whose record says nothing. */
  #listed(row: SessionRow): ListedSession {
    const record = this.#rows.readable('session', sessionRow(row))
    if (record !== undefined) return record
    const { id, at, title, starred, agent, parent_id } = row
    const created = new Date(at)
    return {
      id,
      title,
      created_at: (Number.isNaN(created.getTime()) ? new Date(0) : created).toISOString(),
      starred: starred === 1,
      agent: agent ?? undefined,
      parent_id: parent_id ?? undefined,
      damaged: true,
    }
  }

  titles(prefix: string): readonly string[] {
    return this.#sql.titles.all({ prefix, end: `${prefix}\u{10ffff}` }).map(({ title }) => title)
  }

  items(sessionId: string, range: ItemRange): readonly ItemRecord[] {
    const rows =
      'last' in range
        ? this.#sql.lastItems.all({ id: sessionId, limit: range.last }).reverse()
        : this.#sql.items.all({ id: sessionId, from: range.from, limit: range.limit ?? -1 })
    return rows.map(({ id, position, body }) => ({
      id,
      session_id: sessionId,
      position,
      body: this.#rows.need('item', { json: body, session: sessionId, id: position }),
    }))
  }

  run(sessionId: string, runId: string): Run | undefined {
    return this.#one('run', sessionId, this.#sql.run.get({ id: sessionId, run: runId }))
  }

  runs(sessionId: string, { limit, cursor }: { limit: number; cursor?: string | undefined }): Page<Run> {
    const place = cursor === undefined ? { at: endOfTime, id: '' } : decodePlace(cursor)
    const rows = this.#sql.runs.all({ id: sessionId, at: place.at, run: place.id, limit: limit + 1 })
    return pageOf(rows, limit, (row) => this.#need('run', sessionId, row))
  }

  unfinishedRuns(): readonly Run[] {
    return this.#sql.unfinishedRuns
      .all()
      .flatMap((row) => this.#rows.readable('run', ownRow('run', row.session, row)) ?? [])
  }

  inputs(sessionId: string): readonly InputRecord[] {
    return this.#sql.inputs.all({ id: sessionId }).map((row) => this.#need('input', sessionId, row))
  }

  waitingSessions(): readonly string[] {
    return this.#sql.waitingSessions.all().map(({ id }) => id)
  }

  input(sessionId: string, inputId: string): InputRecord | undefined {
    return this.#one('input', sessionId, this.#sql.input.get({ id: sessionId, input: inputId }))
  }

  allInputs(sessionId: string, { limit, cursor }: { limit: number; cursor?: string | undefined }): Page<InputRecord> {
    const at = cursor === undefined ? endOfTime : decodePlace(cursor).at
    const rows = this.#sql.allInputs.all({ id: sessionId, at, limit: limit + 1 })
    return pageOf(rows, limit, (row) => this.#need('input', sessionId, row))
  }

  requests(sessionId: string, which: 'open' | 'all'): readonly Request[] {
    const statement = which === 'open' ? this.#sql.openRequests : this.#sql.requests
    return statement.all({ id: sessionId }).map((row) => this.#need('request', sessionId, row))
  }

  request(sessionId: string, requestId: string): Request | undefined {
    const row = this.#sql.request.get({ session: sessionId, request: requestId })
    return row && this.#need('request', row.session, row)
  }

  findRequests(filter: RequestFilter): Page<Request> {
    const place = filter.cursor === undefined ? { at: -endOfTime, id: '' } : decodePlace(filter.cursor)
    const statement = this.#sql.found[filter.state][filter.session === undefined ? 'everywhere' : 'below']
    const rows = statement.all({
      kind: filter.kind ?? null,
      agent: filter.agent ?? null,
      after: filter.created_after === undefined ? -endOfTime : instantOf(filter.created_after, 'created_after'),
      before: filter.created_before === undefined ? endOfTime : instantOf(filter.created_before, 'created_before'),
      ...place,
      limit: filter.limit + 1,
      ...(filter.session === undefined ? {} : { session: filter.session }),
    })
    const isOne = filter.session !== undefined
    return pageOf(rows, filter.limit, (row) =>
      isOne
        ? this.#need('request', row.session, row)
        : this.#rows.readable('request', ownRow('request', row.session, row)),
    )
  }

  key(scope: string, key: string): KeyRecord | undefined {
    const row = this.#sql.key.get({ scope, key })
    if (row === undefined) return undefined
    const found = this.#rows.readable('key', { json: row.record, session: undefined, id: row.id, own: { scope, key } })
    if (found !== undefined) return found
    throw new Refusal(
      'idempotency_mismatch',
      'What was decided under this idempotency key cannot be read; use another key',
    )
  }

  bounds(sessionId: string): LogBounds {
    return this.#atOnce(() => {
      const placed = this.#sql.placedBounds.get({ id: sessionId })
      const unplaced = this.#sql.unplacedBounds.get({ id: sessionId })
      return { oldest: placed?.oldest ?? unplaced?.oldest ?? 0, head: unplaced?.head ?? placed?.head ?? 0 }
    })
  }

  events(sessionId: string, after: Cursor): Segment | undefined {
    return this.#atOnce(() => {
      const range = { id: sessionId, after, limit: eventPage.segments }
      const placed = fitting(this.#sql.placed.all(range))
      if (placed.length > 0) return joined(placed, (ends) => this.#sql.placedTexts.all({ id: sessionId, ...ends }))
      const unplaced = fitting(this.#sql.unplaced.all(range))
      return joined(unplaced, (ends) => this.#sql.unplacedTexts.all({ id: sessionId, ...ends }))
    })
  }

  fleetSession(id: string): FleetSession | undefined {
    const row = this.#sql.fleetSession.get({ id })
    return row && this.#fleetSession(id, row.record)
  }

  fleetSessions({ session, agent, children = session !== undefined, limit, cursor }: FleetFilter): FleetSessions {
    const place = cursor === undefined ? undefined : decodeFleetPlace(cursor)
    return this.#atOnce(() => {
      const head = place?.head ?? this.fleetBounds().head
      const rows = this.#sql.fleetSessions.all({
        session: session ?? null,
        agent: agent ?? null,
        children: Number(children),
        num: place?.num ?? endOfTime,
        limit: limit + 1,
      })
      const shown = rows.slice(0, limit)
      const last = rows.length > limit ? shown.at(-1) : undefined
      const next = last && encodeFleetPlace({ num: last.num, head })
      return { entries: shown.flatMap((row) => this.#fleetSession(row.id, row.record) ?? []), next, head }
    })
  }

  #fleetSession(id: string, json: string): FleetSession | undefined {
    return this.#rows.readable('fleet_session', { json, session: id, id: undefined, own: { id } })
  }

  fleetBounds(): LogBounds {
    const { oldest, head } = this.#sql.fleetBounds.get() ?? {}
    return { oldest: oldest ?? 0, head: head ?? 0 }
  }

  fleetEvents(after: Cursor): Segment | undefined {
    const rows = this.#sql.fleetEvents.all({ after, limit: eventPage.segments })
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

  #need<K extends OwnKind>(kind: K, session: string, row: ListedRow): Stored[K] {
    return this.#rows.need(kind, ownRow(kind, session, row))
  }

  #one<K extends OwnKind>(kind: K, session: string, row: ListedRow | undefined): Stored[K] | undefined {
    return row && this.#need(kind, session, row)
  }

  /** Runs several statements on one state of the database: rows must not get their place in between. */
  #atOnce<T>(read: () => T): T {
    return this.#db.transaction(read).deferred()
  }
}

function prepareAll(db: Database.Database) {
  type Of = { readonly id: string }
  return {
    session: db.prepare<Of, SessionRow>(`SELECT ${listed} FROM sessions WHERE id = :id`),
    sessions: db.prepare<Record<string, string | number | null>, SessionRow>(`
      SELECT ${listed} FROM sessions
      WHERE parent_id IS NULL AND (created, id) < (:at, :id) AND created > :after AND created < :before
        AND (:q IS NULL OR instr(folded_title, :q) > 0) AND (:starred IS NULL OR starred = :starred)
        AND (:agent IS NULL OR agent = :agent)
      ORDER BY created DESC, id DESC LIMIT :limit`),
    children: db.prepare<Of, SessionRow>(`SELECT ${listed} FROM sessions WHERE parent_id = :id ORDER BY created, id`),
    titles: db.prepare<{ prefix: string; end: string }, { readonly title: string }>(
      'SELECT title FROM sessions WHERE title >= :prefix AND title < :end ORDER BY title',
    ),
    items: db.prepare<Of & { from: number; limit: number }, ItemRow>(`
      SELECT id, position, body FROM items WHERE session = ${session} AND position >= :from
      ORDER BY position LIMIT :limit`),
    lastItems: db.prepare<Of & { limit: number }, ItemRow>(`
      SELECT id, position, body FROM items WHERE session = ${session} ORDER BY position DESC LIMIT :limit`),
    run: db.prepare<Of & { run: string }, ListedRow>(
      `SELECT id, record FROM runs WHERE session = ${session} AND id = :run`,
    ),
    runs: db.prepare<Of & { at: number; run: string; limit: number }, PlacedRow>(`
      SELECT first_seq AS at, id, record FROM runs WHERE session = ${session} AND (first_seq, id) < (:at, :run)
      ORDER BY first_seq DESC, id DESC LIMIT :limit`),
    unfinishedRuns: db.prepare<[], ListedRow & OfSession>(
      `SELECT r.id, r.record, s.id AS session FROM runs r JOIN sessions s ON s.num = r.session
      WHERE r.status = 'running' ORDER BY r.num`,
    ),
    inputs: db.prepare<Of, ListedRow>(
      `SELECT id, record FROM inputs WHERE session = ${session} AND state IN ('queued', 'held') ORDER BY num`,
    ),
    waitingSessions: db.prepare<[], Of>(
      `SELECT DISTINCT sessions.id FROM inputs JOIN sessions ON sessions.num = inputs.session
      WHERE inputs.state IN ('queued', 'held') AND inputs.state = 'queued'
        AND json_extract(iif(json_valid(inputs.record), inputs.record, '{}'), '$.kind') = 'followup'`,
    ),
    input: db.prepare<Of & { input: string }, ListedRow>(
      `SELECT id, record FROM inputs WHERE session = ${session} AND id = :input`,
    ),
    allInputs: db.prepare<Of & { at: number; limit: number }, PlacedRow>(
      `SELECT num AS at, id, record FROM inputs WHERE session = ${session} AND num < :at ORDER BY num DESC LIMIT :limit`,
    ),
    requests: db.prepare<Of, ListedRow>(`SELECT id, record FROM requests WHERE session = ${session} ORDER BY num`),
    openRequests: db.prepare<Of, ListedRow>(
      `SELECT id, record FROM requests WHERE session = ${session} AND state = 'open' ORDER BY num`,
    ),
    request: db.prepare<{ session: string; request: string }, ListedRow & OfSession>(
      `SELECT r.id, r.record, s.id AS session FROM requests r JOIN sessions s ON s.num = r.session
      WHERE r.session IN ${tree} AND r.id = :request`,
    ),
    found: {
      open: foundRequests(db, "r.state = 'open'"),
      settled: foundRequests(db, "r.state <> 'open'"),
      all: foundRequests(db, 'true'),
    },
    key: db.prepare<{ scope: string; key: string }, RecordRow & { readonly id: number }>(
      'SELECT num AS id, record FROM idempotency_keys WHERE scope = :scope AND key = :key',
    ),
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
    fleetSession: db.prepare<Of, RecordRow>(
      'SELECT fleet AS record FROM sessions WHERE id = :id AND fleet IS NOT NULL',
    ),
    fleetSessions: db.prepare<Record<string, string | number | null>, ListedRow & { readonly num: number }>(`
      SELECT num, id, fleet AS record FROM sessions
      WHERE fleet IS NOT NULL AND num < :num AND (:children OR parent_id IS NULL)
        AND (:agent IS NULL OR agent = :agent)
        AND (:session IS NULL OR id = :session OR EXISTS (
          SELECT 1 FROM json_each(iif(json_valid(fleet), fleet, '{}'), '$.above') above WHERE above.value = :session))
      ORDER BY num DESC LIMIT :limit`),
    // Apart, because SQLite reads the whole table for `min` and `max` at once.
    fleetBounds: db.prepare<[], BoundsRow>(
      'SELECT (SELECT min(seq) FROM fleet_events) AS oldest, (SELECT max(seq) FROM fleet_events) AS head',
    ),
    fleetEvents: db.prepare<{ after: number; limit: number }, { readonly seq: number; readonly text: string }>(
      'SELECT seq, text FROM fleet_events WHERE seq > :after ORDER BY seq LIMIT :limit',
    ),
  }
}

/** Requests in a state, which is written out so that the index of the open ones is used. */
function foundRequests(db: Database.Database, state: string) {
  const found = (where: string) =>
    db.prepare<Record<string, string | number | null>, PlacedRow & OfSession>(`
      SELECT r.created AS at, r.id, r.record, s.id AS session FROM requests r JOIN sessions s ON s.num = r.session
      WHERE ${state} AND ${where} AND (r.created, r.id) > (:at, :id) AND r.created > :after AND r.created < :before
        AND (:kind IS NULL OR r.kind = :kind) AND (:agent IS NULL OR s.agent = :agent)
      ORDER BY r.created, r.id LIMIT :limit`)
  return { everywhere: found('true'), below: found(`r.session IN ${tree}`) }
}

/** What a run, an input or a request says of itself. */
type OwnKind = Extract<StoredKind, 'run' | 'input' | 'request'>

const ownId: Readonly<Record<OwnKind, string>> = { run: 'run_id', input: 'id', request: 'id' }

function ownRow(kind: OwnKind, session: string, { id, record }: ListedRow) {
  return { json: record, session, id, own: { [ownId[kind]]: id, session_id: session } }
}

function sessionRow({ id, parent_id, record }: SessionRow) {
  return { json: record, session: id, id: undefined, own: { id, parent_id: parent_id ?? undefined } }
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

/** Cuts the row off that was asked for only to know whether there is a next page; what `read` knows nothing of is passed over. */
function pageOf<R extends PlacedRow, T>(rows: readonly R[], limit: number, read: (row: R) => T | undefined): Page<T> {
  const shown = rows.slice(0, limit)
  const last = rows.length > limit ? shown.at(-1) : undefined
  return { entries: shown.flatMap((row) => read(row) ?? []), next: last && encodePlace(last) }
}
