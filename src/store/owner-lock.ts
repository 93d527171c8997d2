import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { fileReason } from './file-reason.ts'
import { codeOf, isCode } from './sqlite-error.ts'
import { StoreError } from './store.ts'

const pollInterval = 250

/** Locks that this process holds. */
const held = new Set<string>()

/** How long to wait for another owner. */
export interface Patience {
  /** Milliseconds. */
  readonly waitMs: number
  /** Ends the waiting. */
  readonly signal: AbortSignal
  /** Called when there is something to wait for. */
  readonly waiting: () => void
}

/**
 * The right to use a database: an exclusive lock on a small file beside it, which the kernel frees when the process
 * ends, however it ends. The file itself stays; removing it would let two processes lock two files of that name.
 */
export class OwnerLock {
  readonly #path: string
  readonly #db: Database.Database

  private constructor(path: string, db: Database.Database) {
    this.#path = path
    this.#db = db
    held.add(path)
  }

  /** Whether this process holds the lock on a path already. */
  static holds(path: string): boolean {
    return held.has(path)
  }

  /** Takes the lock, waiting for it if it must. Throws {@link StoreError} `owned` when it cannot be had, else `cannot_open`. */
  static async acquire(path: string, { waitMs, signal, waiting }: Patience): Promise<OwnerLock> {
    const deadline = performance.now() + waitMs
    for (;;) {
      const db = tryLock(path)
      if (db !== undefined) return new OwnerLock(path, db)
      waiting()
      const left = deadline - performance.now()
      if (left <= 0)
        throw new StoreError(
          'owned',
          `another process owns the database (it holds ${path}): one server at a time may use it; stop that one, or choose another file with --session-db`,
        )
      try {
        await delay(Math.min(pollInterval, left), undefined, { signal })
      } catch (error) {
        throw new StoreError('owned', 'waiting for the database was given up while another process owned it', error)
      }
    }
  }

  release(): void {
    held.delete(this.#path)
    this.#db.close()
  }
}

function tryLock(path: string): Database.Database | undefined {
  let db: Database.Database | undefined
  try {
    db = new Database(path, { timeout: 0 })
    db.pragma('locking_mode = EXCLUSIVE')
    db.pragma('journal_mode = MEMORY')
    db.exec('BEGIN EXCLUSIVE')
    return db
  } catch (error) {
    db?.close()
    if (isCode(codeOf(error), 'SQLITE_BUSY')) return undefined
    throw new StoreError(
      'cannot_open',
      `the lock beside the database, ${path}, cannot be taken: ${fileReason(error)}`,
      error,
    )
  }
}
