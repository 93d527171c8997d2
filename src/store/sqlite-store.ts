import type { Cursor, FleetSession, LogBounds, Request, Run } from '../protocol/protocol.ts'
import type { Damage } from './damage.ts'
import { HandOver } from './hand-over.ts'
import { OwnedDatabase } from './owned-database.ts'
import { instantOf } from './page-cursor.ts'
import { type Row, rowsOf, sizeOf } from './rows.ts'
import { codeOf, severityOf } from './sqlite-error.ts'
import type { SqliteReader } from './sqlite-reader.ts'
import type {
  FleetFilter,
  FleetSessions,
  Group,
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
  Store,
  StoreHealth,
} from './store.ts'
import { StoreError } from './store.ts'
import { unavailableRefusal } from './unavailable-refusal.ts'
import type { WriterLink } from './writer-link.ts'

export interface SqliteStoreOptions {
  /** The database's file. Its directory is made when it is missing. */
  readonly path: string
  /** Milliseconds that {@link Store.open} waits for another process to give the database up. */
  readonly ownerWaitMs?: number | undefined
  /** Is told of each record that cannot be read, once. */
  readonly onDamage?: ((damage: Damage) => void) | undefined
  /** Is told why nothing can be written, as one sentence without an end, and with nothing when writing works again. */
  readonly onHealth?: ((error: string | undefined) => void) | undefined
}

/** Sessions in a SQLite file that this process alone owns. */
export function createSqliteStore(options: SqliteStoreOptions): Store {
  return new SqliteStore(options)
}

class SqliteStore implements Store {
  readonly #options: SqliteStoreOptions
  readonly #handOver: HandOver<readonly Row[]>
  readonly #failed = Promise.withResolvers<StoreError>()
  readonly #leaving = new AbortController()
  #error: string | undefined = 'the store is not open'
  #opening: Promise<OwnedDatabase> | undefined
  #opened: OwnedDatabase | undefined
  #closing: Promise<void> | undefined

  constructor(options: SqliteStoreOptions) {
    this.#options = options
    this.#handOver = new HandOver(async (batch) => {
      if (this.#opened === undefined) throw new Error('the store is not open')
      const groups = batch.map(({ session_id, load }) => ({ session_id, rows: load }))
      const codes = await this.#opened.link.commit(groups)
      return codes.map((code) => (code === undefined ? undefined : new Error(code)))
    })
  }

  async open(): Promise<void> {
    if (this.#closing !== undefined) throw new StoreError('cannot_open', 'the store is closed')
    this.#opening ??= this.#open()
    try {
      this.#opened = await this.#opening
    } catch (error) {
      if (error instanceof StoreError) this.#error = error.message
      throw error
    }
  }

  session(id: string): SessionRecord | undefined {
    return this.#read((reader) => reader.session(id))
  }

  sessions(filter: SessionFilter): Page<ListedSession> {
    return this.#read((reader) => reader.sessions(filter))
  }

  children(parentId: string): readonly ListedSession[] {
    return this.#read((reader) => reader.children(parentId))
  }

  titles(prefix: string): readonly string[] {
    return this.#read((reader) => reader.titles(prefix))
  }

  items(sessionId: string, range: ItemRange): readonly ItemRecord[] {
    return this.#read((reader) => reader.items(sessionId, range))
  }

  run(sessionId: string, runId: string): Run | undefined {
    return this.#read((reader) => reader.run(sessionId, runId))
  }

  runs(sessionId: string, page: { readonly limit: number; readonly cursor?: string | undefined }): Page<Run> {
    return this.#read((reader) => reader.runs(sessionId, page))
  }

  unfinishedRuns(): readonly Run[] {
    return this.#read((reader) => reader.unfinishedRuns())
  }

  inputs(sessionId: string): readonly InputRecord[] {
    return this.#read((reader) => reader.inputs(sessionId))
  }

  waitingSessions(): readonly string[] {
    return this.#read((reader) => reader.waitingSessions())
  }

  input(sessionId: string, inputId: string): InputRecord | undefined {
    return this.#read((reader) => reader.input(sessionId, inputId))
  }

  allInputs(
    sessionId: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Page<InputRecord> {
    return this.#read((reader) => reader.allInputs(sessionId, page))
  }

  requests(sessionId: string, which: 'open' | 'all'): readonly Request[] {
    return this.#read((reader) => reader.requests(sessionId, which))
  }

  request(sessionId: string, requestId: string): Request | undefined {
    return this.#read((reader) => reader.request(sessionId, requestId))
  }

  findRequests(filter: RequestFilter): Page<Request> {
    return this.#read((reader) => reader.findRequests(filter))
  }

  key(scope: string, key: string): KeyRecord | undefined {
    return this.#read((reader) => reader.key(scope, key))
  }

  bounds(sessionId: string): LogBounds {
    return this.#read((reader) => reader.log.bounds(sessionId))
  }

  events(sessionId: string, after: Cursor): Segment | undefined {
    return this.#read((reader) => reader.log.page(sessionId, after))
  }

  fleetSession(id: string): FleetSession | undefined {
    return this.#read((reader) => reader.fleet.session(id))
  }

  fleetSessions(filter: FleetFilter): FleetSessions {
    return this.#read((reader) => reader.fleet.sessions(filter))
  }

  fleetBounds(): LogBounds {
    return this.#read((reader) => reader.fleet.bounds())
  }

  fleetEvents(after: Cursor): Segment | undefined {
    return this.#read((reader) => reader.fleet.page(after))
  }

  write(group: Group): Promise<void> {
    if (this.#opened === undefined) return Promise.reject(unavailableRefusal())
    const rows = rowsOf(group)
    return this.#handOver.add({ session_id: group.session_id, load: rows, changes: rows.length, bytes: sizeOf(rows) })
  }

  get pressure(): Promise<void> | undefined {
    return this.#handOver.pressure
  }

  flush(): Promise<void> {
    return this.#handOver.flush()
  }

  async retain({ before, keep }: { readonly before: string; readonly keep?: number | undefined }): Promise<number> {
    return this.#link().retain({ before: instantOf(before, 'before'), keep })
  }

  async thin(before: string): Promise<number> {
    return this.#link().remove('thin', instantOf(before, 'before'))
  }

  async forgetRecords(before: string): Promise<number> {
    return this.#link().remove('forget_records', instantOf(before, 'before'))
  }

  async forgetKeys(before: string): Promise<number> {
    return this.#link().remove('forget_keys', instantOf(before, 'before'))
  }

  async retainFleet({ before, keep }: { readonly before: string; readonly keep: number }): Promise<number> {
    return this.#link().retainFleet({ before: instantOf(before, 'before'), keep })
  }

  health(): StoreHealth {
    return { connected: this.#error === undefined, error: this.#error }
  }

  get failed(): Promise<StoreError> {
    return this.#failed.promise
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #open(): Promise<OwnedDatabase> {
    const database = await OwnedDatabase.open(this.#options.path, {
      ownerWaitMs: this.#options.ownerWaitMs ?? 30_000,
      signal: this.#leaving.signal,
      waiting: () => {
        this.#error = 'another process owns the database'
      },
      onDamage: (damage) => this.#options.onDamage?.(damage),
      events: { health: (error) => this.#hear(error), failed: (error) => this.#fail(error) },
    })
    this.#error = undefined
    return database
  }

  #hear(error: string | undefined): void {
    if (this.#closing !== undefined) return
    this.#error = error
    this.#options.onHealth?.(error)
  }

  async #close(): Promise<void> {
    this.#leaving.abort()
    const opened = await this.#opening?.catch(() => undefined)
    await this.#handOver.flush()
    this.#handOver.stop(new Error('the store is closed'))
    this.#opened = undefined
    this.#error ??= 'the store is closed'
    await opened?.close()
  }

  #read<T>(read: (reader: SqliteReader) => T): T {
    if (this.#opened === undefined) throw unavailableRefusal()
    try {
      return read(this.#opened.reader)
    } catch (error) {
      const code = codeOf(error)
      if (code === 'DEFECT') throw error
      if (severityOf(code) === 'fatal') {
        this.#fail(
          new StoreError('corrupt', `the database is damaged (${code}); nothing can be trusted any more`, error),
        )
      }
      throw unavailableRefusal(error)
    }
  }

  #link(): WriterLink {
    if (this.#opened === undefined) throw unavailableRefusal()
    return this.#opened.link
  }

  #fail(error: StoreError): void {
    this.#error = error.message
    this.#handOver.stop(error)
    this.#failed.resolve(error)
  }
}
