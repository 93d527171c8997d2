import type { Cursor, LogBounds } from '../protocol/protocol.ts'
import type { Journal, LogPage, ReadOptions } from './event-log.ts'
import { type Frames, Readers, toPage } from './reading.ts'
import { after } from './segment.ts'

/** A log that the store itself writes and numbers. Readers are promised what those of an `EventLog` are. */
export interface StoredLog {
  bounds(): LogBounds
  /** Without `since` a reader begins with what comes next. */
  read(options: ReadOptions): AsyncGenerator<LogPage, void, void>
  /** Something may have been committed: readers that wait look again. */
  wake(): void
  close(): void
}

export function createStoredLog(journal: Journal): StoredLog {
  return new LogOfStore(journal)
}

class LogOfStore implements StoredLog {
  readonly #journal: Journal
  readonly #readers = new Readers()
  /** What was read last, and where: readers that keep up share its bytes. */
  #newest: { readonly cursor: Cursor; readonly page: Frames } | undefined

  constructor(journal: Journal) {
    this.#journal = journal
  }

  bounds(): LogBounds {
    return this.#journal.bounds()
  }

  page(cursor: Cursor): Frames | undefined {
    if (this.#newest?.cursor === cursor) return this.#newest.page
    const segment = this.#journal.read(cursor)
    if (segment === undefined) return undefined
    const page = toPage(after(segment, cursor))
    this.#newest = { cursor, page }
    return page
  }

  read({ since, ...options }: ReadOptions): AsyncGenerator<LogPage, void, void> {
    return this.#readers.read(this, { ...options, since: since === undefined ? this.bounds().head : since })
  }

  wake(): void {
    this.#readers.wake()
  }

  close(): void {
    this.#readers.close()
  }
}
