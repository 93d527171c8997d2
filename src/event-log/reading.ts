import { setImmediate as giveWay } from 'node:timers/promises'
import { type Cursor, type LogBounds, startAt } from '../protocol/protocol.ts'
import type { LogPage, ReadOptions, Segment } from './event-log.ts'
import { onlyTypes, onlyWhere } from './segment.ts'

export type Frames = Extract<LogPage, { kind: 'frames' }>

/** What readers read. */
export interface Pages {
  bounds(): LogBounds
  /** What follows a cursor, if anything is published; it may begin later when retention has passed. */
  page(cursor: Cursor, until: Cursor | undefined): Frames | undefined
}

/** A tail that is open. */
interface Reader {
  /** Resolves at the next publication, at the close, or when the reader's own signal aborts. */
  wait(): Promise<void>
  leave(): void
}

/** The readers of one log: each a cursor that waits, when it has read everything, for the next publication. */
export class Readers {
  #waiting = new Set<() => void>()
  #count = 0
  #closed = false

  get count(): number {
    return this.#count
  }

  wake(): void {
    const waiting = this.#waiting
    this.#waiting = new Set()
    for (const resolve of waiting) resolve()
  }

  /** Every reader ends once it has shown everything. */
  close(): void {
    this.#closed = true
    this.wake()
  }

  async *read(pages: Pages, options: ReadOptions): AsyncGenerator<LogPage, void, void> {
    const { since, follow, signal, until } = options
    if (signal.aborted) return
    const reader = this.#enter(signal)
    try {
      const bounds = pages.bounds()
      const start = startAt(since, bounds)
      if (start.gap !== undefined) yield { kind: 'gap', gap: { type: 'gap', ...start.gap, ...bounds } }
      let cursor = start.after
      while (!signal.aborted && cursor < (until?.() ?? Number.POSITIVE_INFINITY)) {
        const page = pages.page(cursor, until?.())
        if (page === undefined) {
          if (!follow || this.#closed) return
          await reader.wait()
        } else if (page.first > cursor + 1) {
          yield gap(cursor, page, pages.bounds().head)
          cursor = page.first - 1
        } else {
          cursor = page.last
          const shown = filtered(page, options)
          // A long log with nothing to show must not be searched in one breath.
          if (shown === undefined) await giveWay()
          else yield shown
        }
      }
    } finally {
      reader.leave()
    }
  }

  /** Listens to the signal once for the whole life of a reader; waiting again and again must cost next to nothing. */
  #enter(signal: AbortSignal): Reader {
    let wake = (): void => {}
    const onAbort = (): void => wake()
    signal.addEventListener('abort', onAbort)
    this.#count += 1
    return {
      wait: () =>
        new Promise((resolve) => {
          wake = resolve
          this.#waiting.add(wake)
        }),
      leave: () => {
        this.#count -= 1
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', onAbort)
      },
    }
  }
}

export function toPage({ first, last, text, lacks }: Segment): Frames {
  return { kind: 'frames', first, last, data: Buffer.from(text), lacks }
}

function gap(requested: Cursor, { first, lacks }: Frames, head: Cursor): LogPage {
  return { kind: 'gap', gap: { type: 'gap', requested, oldest: first, head, reason: lacks ?? 'retention' } }
}

function filtered(page: Frames, { types, where }: ReadOptions): Frames | undefined {
  // All that the page held has been thinned out.
  if (page.data.length === 0) return undefined
  if (types === undefined && where === undefined) return page
  const ofTypes = types === undefined ? page.data.toString() : onlyTypes(page.data.toString(), types)
  const text = where === undefined ? ofTypes : onlyWhere(ofTypes, where)
  return text === '' ? undefined : { ...page, data: Buffer.from(text) }
}
