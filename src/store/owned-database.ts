import { existsSync, mkdirSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Damage } from './damage.ts'
import { fileReason } from './file-reason.ts'
import { OwnerLock } from './owner-lock.ts'
import { checkFile, notOpened, prepareFile } from './sqlite-file.ts'
import { SqliteReader } from './sqlite-reader.ts'
import { StoreError } from './store.ts'
import { type LinkEvents, WriterLink } from './writer-link.ts'

export interface DatabaseOptions {
  /** How long to wait for another process to give the database up. */
  readonly ownerWaitMs: number
  /** Ends the waiting. */
  readonly signal: AbortSignal
  /** Is told each time that another process is found to own the database. */
  readonly waiting: () => void
  readonly onDamage: (damage: Damage) => void
  readonly events: LinkEvents
}

/** A database file that this process alone owns: its lock, the thread that writes it, and its reader. */
export class OwnedDatabase {
  readonly link: WriterLink
  readonly reader: SqliteReader
  readonly #lock: OwnerLock

  private constructor(lock: OwnerLock, link: WriterLink, reader: SqliteReader) {
    this.#lock = lock
    this.link = link
    this.reader = reader
  }

  /** Makes the file and its directory when they are missing. Throws {@link StoreError}. */
  static async open(file: string, { ownerWaitMs, signal, ...told }: DatabaseOptions): Promise<OwnedDatabase> {
    const path = realPath(file)
    const lockPath = `${path}.owner`
    // Before the lock, so that nothing is left beside a foreign file; after it, because the file may be another by then.
    if (!OwnerLock.holds(lockPath)) checkFile(path)
    const lock = await OwnerLock.acquire(lockPath, { waitMs: ownerWaitMs, signal, waiting: told.waiting })
    let link: WriterLink | undefined
    try {
      checkFile(path)
      prepareFile(path)
      link = await WriterLink.start(path, told.events)
      return new OwnedDatabase(lock, link, new SqliteReader(path, told.onDamage))
    } catch (error) {
      await link?.close()
      lock.release()
      throw notOpened(path, error)
    }
  }

  async close(): Promise<void> {
    this.reader.close()
    await this.link.close()
    this.#lock.release()
  }
}

/** Two names of one file must mean one lock. */
function realPath(path: string): string {
  if (path === '' || path === ':memory:')
    throw new StoreError('cannot_open', 'a database needs a file; without one, use the memory store')
  try {
    makeDirectory(dirname(path))
    return existsSync(path) ? realpathSync(path) : join(realpathSync(dirname(path)), basename(path))
  } catch (error) {
    throw new StoreError('cannot_open', `the directory of ${path} cannot be used: ${fileReason(error)}`, error)
  }
}

/** Level by level: in places such as /proc a recursive mkdir never returns. */
function makeDirectory(path: string): void {
  if (existsSync(path)) return
  makeDirectory(dirname(path))
  mkdirSync(path, { mode: 0o700 })
}
