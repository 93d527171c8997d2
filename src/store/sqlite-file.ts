import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, truncateSync } from 'node:fs'
import Database from 'better-sqlite3'
import { codeOfFile, fileReason } from './file-reason.ts'
import { type Migration, migrate, migrations } from './migrations.ts'
import { openConnection } from './sqlite-connection.ts'
import { severityOf } from './sqlite-error.ts'
import { StoreError } from './store.ts'

/** Marks a database as one of this program: `QDCK`. */
export const applicationId = 0x5144434b

/** Larger files of other programs are refused without saying whose they are. */
const imageLimit = 256 * 1024 * 1024
const headerSize = 100

/** The file format of SQLite, sections 1.3 and 1.6: where the first page says what. */
const field = { pageSize: 16, version: 18, userVersion: 60, applicationId: 68, tree: 100, cells: 103 } as const
const emptyLeaf = 0x0d

/**
 * Tells whether a file may be used. Reads it without SQLite, which would leave files beside it, and so must not be
 * called for a file that this process has open: closing a file drops the process's locks on it. Throws
 * {@link StoreError} `foreign_file` or `newer_file`; the file is never changed.
 */
export function checkFile(path: string, newest: number = migrations.length): void {
  const file = readAt(path, 0, headerSize + 8)
  const log = readLog(`${path}-wal`)
  if (file.length === 0) {
    if (log.offsets.size === 0) return
    throw new StoreError('foreign_file', `${path} is empty, but another program's changes wait beside it`)
  }
  if (wasInterrupted(path, file)) return
  if (file.length < headerSize + 8 || file.toString('latin1', 0, 16) !== 'SQLite format 3\0') {
    throw new StoreError(
      'foreign_file',
      `${path} is not a database; it was left untouched, choose another file with --session-db`,
    )
  }
  const page = readPage(log, 1) ?? file
  const owner = page.readUInt32BE(field.applicationId)
  if (owner === applicationId) checkVersion(path, page, newest)
  else if (owner !== 0 || !isEmpty(page)) throw foreign(path, log)
}

/**
 * Makes a file that {@link checkFile} accepted ready: creates it, brings its schema up to date, switches it to a
 * write-ahead log. Throws {@link StoreError}; a file whose migration fails is as it was.
 */
export function prepareFile(path: string, list: readonly Migration[] = migrations): void {
  const wasEmpty = readAt(path, 0, 1).length === 0
  try {
    prepare(path, list)
  } catch (error) {
    // Choosing the vacuum mode has begun the file before the first migration.
    if (wasEmpty && existsSync(path)) truncateSync(path)
    throw notOpened(path, error)
  }
}

/** Why a database could not be opened, for the person who has to do something about it. */
export function notOpened(path: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error
  const code = codeOfFile(error)
  return severityOf(code) === 'fatal'
    ? new StoreError('corrupt', `${path} is damaged (${code}): restore a backup`, error)
    : new StoreError('cannot_open', `${path} cannot be opened: ${fileReason(error)}`, error)
}

function prepare(path: string, list: readonly Migration[]): void {
  const db = openConnection(path)
  try {
    makeShrinkable(db)
    migrate(db, applicationId, list)
    db.pragma('journal_mode = WAL')
    db.pragma('wal_checkpoint(TRUNCATE)')
  } finally {
    db.close()
  }
}

/** Must come before the first table; a file that has its first page already is built anew, which is nothing when it is empty. */
function makeShrinkable(db: Database.Database): void {
  if (Number(db.pragma('user_version', { simple: true })) > 0) return
  db.pragma('auto_vacuum = INCREMENTAL')
  const pages = Number(db.pragma('page_count', { simple: true }))
  if (pages > 0 && Number(db.pragma('auto_vacuum', { simple: true })) !== 2) db.exec('VACUUM')
}

/**
 * Whether a power cut kept the first page of a new file from the disk. SQLite makes such a file empty again, because there
 * is a journal that says that it was (file format, section 3).
 */
function wasInterrupted(path: string, file: Buffer): boolean {
  if (file.some((byte) => byte !== 0)) return false
  const journal = readAt(`${path}-journal`, 0, headerSize)
  return journal.toString('hex', 0, 8) === 'd9d505f920a163d7' && journal.length > 20 && journal.readUInt32BE(16) === 0
}

function checkVersion(path: string, page: Buffer, newest: number): void {
  const version = page.readUInt32BE(field.userVersion)
  if (version <= newest) return
  const message = `${path} was written by a newer version of this program (schema ${version}, this one knows ${newest}); it was left untouched: start that version again, or restore a backup from before the upgrade`
  throw new StoreError('newer_file', message)
}

function isEmpty(page: Buffer): boolean {
  return page.readUInt8(field.tree) === emptyLeaf && page.readUInt16BE(field.cells) === 0
}

function foreign(path: string, log: Log): StoreError {
  const tables = tablesOf(path, log)
  // The oldest ones have no `session_items` yet.
  const ancestor = ['sessions', 'migrations'].every((name) => tables.includes(name))
  const whose = ancestor
    ? 'is a session database of docker-agent, which this program cannot use'
    : 'belongs to another program'
  return new StoreError(
    'foreign_file',
    `${path} ${whose}; it was left untouched, choose another file with --session-db`,
  )
}

/** The tables of a database, read from a copy in memory with the committed pages of its log laid over it. */
function tablesOf(path: string, log: Log): readonly string[] {
  try {
    const file = readFileSync(path)
    const pageSize = pageSizeOf(file)
    const pages = Math.max(file.length / pageSize, ...log.offsets.keys())
    if (pages * pageSize > imageLimit) return []
    const image = Buffer.alloc(pages * pageSize)
    file.copy(image)
    for (const page of log.offsets.keys()) readPage(log, page)?.copy(image, (page - 1) * pageSize)
    // Memory has no write-ahead log.
    image.fill(1, field.version, field.version + 2)
    const db = new Database(image, { readonly: true })
    try {
      return db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
    } finally {
      db.close()
    }
  } catch {
    // It is refused anyway; only the sentence is less exact.
    return []
  }
}

function pageSizeOf(page: Buffer): number {
  const size = page.readUInt16BE(field.pageSize)
  return size === 1 ? 65536 : size
}

/** Where a write-ahead log holds the newest committed state of a page (file format, section 4.1). */
interface Log {
  readonly path: string
  readonly pageSize: number
  readonly offsets: ReadonlyMap<number, number>
}

function readLog(path: string): Log {
  const header = readAt(path, 0, 32)
  const pageSize = header.length < 32 ? 0 : header.readUInt32BE(8)
  const offsets = new Map<number, number>()
  const uncommitted = new Map<number, number>()
  withFile(path, (file) => {
    const { size } = fstatSync(file)
    const frame = Buffer.alloc(24)
    for (let at = 32; at + 24 + pageSize <= size; at += 24 + pageSize) {
      readSync(file, frame, 0, 24, at)
      if (!frame.subarray(8, 16).equals(header.subarray(16, 24))) break
      uncommitted.set(frame.readUInt32BE(0), at + 24)
      if (frame.readUInt32BE(4) === 0) continue
      for (const [page, offset] of uncommitted) offsets.set(page, offset)
      uncommitted.clear()
    }
    return header
  })
  return { path, pageSize, offsets }
}

function readPage({ path, pageSize, offsets }: Log, page: number): Buffer | undefined {
  const offset = offsets.get(page)
  return offset === undefined ? undefined : readAt(path, offset, pageSize)
}

function readAt(path: string, at: number, size: number): Buffer {
  return withFile(path, (file) => {
    const bytes = Buffer.alloc(size)
    return bytes.subarray(0, readSync(file, bytes, 0, size, at))
  })
}

/** A file that is not there reads as empty. */
function withFile(path: string, read: (file: number) => Buffer): Buffer {
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    return read(file)
  } catch (error) {
    if (error instanceof StoreError) throw error
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return Buffer.alloc(0)
    throw new StoreError('cannot_open', `${path} cannot be read: ${fileReason(error)}`, error)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}
