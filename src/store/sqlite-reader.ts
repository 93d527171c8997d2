import type Database from 'better-sqlite3'
import { Refusal, type Request, type Run } from '../protocol/protocol.ts'
import type { Damage } from './damage.ts'
import { EventReader } from './event-reader.ts'
import { FleetReader, tree } from './fleet-reader.ts'
import { decodePlace, encodePlace, instantOf, type List } from './page-cursor.ts'
import { fold } from './rows.ts'
import { openConnection } from './sqlite-connection.ts'
import type {
  InputRecord,
  ItemRange,
  ItemRecord,
  KeyRecord,
  ListedSession,
  Page,
  RequestFilter,
  SessionFilter,
  SessionRecord,
} from './store.ts'
import type { Stored, StoredKind } from './stored-record.ts'
import { StoredRows } from './stored-rows.ts'

const endOfTime = Number.MAX_SAFE_INTEGER
const session = '(SELECT num FROM sessions WHERE id = :id)'
const listed = 'created AS at, id, title, starred, agent, parent_id, record'

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

/** All reads, each a finished statement on one connection that cannot write. */
export class SqliteReader {
  readonly #db: Database.Database
  readonly #sql: ReturnType<typeof prepareAll>
  readonly #rows: StoredRows
  /** The events of sessions. */
  readonly log: EventReader
  readonly fleet: FleetReader

  constructor(path: string, onDamage: (damage: Damage) => void = () => {}) {
    this.#db = openConnection(path, 'read')
    this.#rows = new StoredRows(onDamage)
    this.#sql = prepareAll(this.#db)
    this.log = new EventReader(this.#db)
    this.fleet = new FleetReader(this.#db, this.#rows)
  }

  close(): void {
    this.#db.close()
  }

  session(id: string): SessionRecord | undefined {
    const row = this.#sql.session.get({ id })
    return row && this.#rows.need('session', sessionRow(row))
  }

  sessions(filter: SessionFilter): Page<ListedSession> {
    const list: List = ['sessions']
    const place = filter.cursor === undefined ? undefined : decodePlace(filter.cursor, list)
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
    return pageOf(rows, filter.limit, list, (row) => this.#listed(row))
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
    const list: List = ['runs', sessionId]
    const place = cursor === undefined ? { at: endOfTime, id: '' } : decodePlace(cursor, list)
    const rows = this.#sql.runs.all({ id: sessionId, at: place.at, run: place.id, limit: limit + 1 })
    return pageOf(rows, limit, list, (row) => this.#need('run', sessionId, row))
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
    const list: List = ['inputs', sessionId]
    const at = cursor === undefined ? endOfTime : decodePlace(cursor, list).at
    const rows = this.#sql.allInputs.all({ id: sessionId, at, limit: limit + 1 })
    return pageOf(rows, limit, list, (row) => this.#need('input', sessionId, row))
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
    const list: List = ['requests', filter.session ?? '']
    const place = filter.cursor === undefined ? { at: -endOfTime, id: '' } : decodePlace(filter.cursor, list)
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
    return pageOf(rows, filter.limit, list, (row) =>
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

  #need<K extends OwnKind>(kind: K, session: string, row: ListedRow): Stored[K] {
    return this.#rows.need(kind, ownRow(kind, session, row))
  }

  #one<K extends OwnKind>(kind: K, session: string, row: ListedRow | undefined): Stored[K] | undefined {
    return row && this.#need(kind, session, row)
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
    // Both conditions on the state: the first one is that of the index.
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

/** Cuts the row off that was asked for only to know whether there is a next page; what `read` knows nothing of is passed over. */
function pageOf<R extends PlacedRow, T>(
  rows: readonly R[],
  limit: number,
  list: List,
  read: (row: R) => T | undefined,
): Page<T> {
  const shown = rows.slice(0, limit)
  const last = rows.length > limit ? shown.at(-1) : undefined
  return { entries: shown.flatMap((row) => read(row) ?? []), next: last && encodePlace(last, list) }
}
