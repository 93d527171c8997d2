import { setImmediate as giveWay } from 'node:timers/promises'
import { type Cursor, type ForeignEvent, frame, type LogBounds, startAt } from '../protocol/protocol.ts'
import { encode } from './encode.ts'
import type { EventLog, Journal, LogPage, ReadOptions, Segment } from './event-log.ts'
import { Ring, type RingLimits } from './ring.ts'
import { after, onlyTypes, upTo } from './segment.ts'

const pageLimits = { events: 256, bytes: 256 * 1024 } as const
const segmentBytes = 64 * 1024

type Frames = Extract<LogPage, { kind: 'frames' }>

/** A tail that is open. */
interface Reader {
  /** Resolves at the next publication, at the close, or when the reader's own signal aborts. */
  wait(): Promise<void>
  leave(): void
}

/** A log over a journal: the newest events from memory, older ones from what is stored. */
export function createSessionLog(journal: Journal, limits: RingLimits): EventLog {
  return new SessionLog(journal, limits)
}

class SessionLog implements EventLog {
  readonly #journal: Journal
  readonly #ring: Ring
  #published: Cursor
  #drained: Cursor
  #undrainedBytes = 0
  /** The page that the newest commit made: readers that keep up share its bytes. */
  #newest: Frames | undefined
  #waiting = new Set<() => void>()
  #readers = 0
  #closed = false

  constructor(journal: Journal, limits: RingLimits) {
    const { head } = journal.bounds()
    this.#journal = journal
    this.#ring = new Ring(head, limits)
    this.#published = head
    this.#drained = head
  }

  get head(): Cursor {
    return this.#ring.last
  }

  get published(): Cursor {
    return this.#published
  }

  get undrainedBytes(): number {
    return this.#undrainedBytes
  }

  get readers(): number {
    return this.#readers
  }

  append(event: ForeignEvent): Cursor {
    const seq = this.#ring.last + 1
    this.#undrainedBytes += this.#ring.push(frame(seq, encode(event)))
    return seq
  }

  drain(): readonly Segment[] {
    const segments: Segment[] = []
    this.#undrainedBytes = 0
    while (this.#drained < this.#ring.last) {
      const segment = this.#join(this.#drained, this.#ring.last, {
        events: Number.POSITIVE_INFINITY,
        bytes: segmentBytes,
      })
      this.#drained = segment.last
      segments.push(segment)
    }
    return segments
  }

  publish(last: Cursor): void {
    if (last <= this.#published) return
    const segment = this.#join(this.#published, last, pageLimits)
    this.#newest = toPage(segment)
    this.#ring.evict(segment.first)
    this.#published = last
    this.#wake()
  }

  bounds(): LogBounds {
    const head = this.#published
    const { oldest } = this.#journal.bounds()
    // Retention may have removed what is stored and not published yet; a cursor beyond the head would be none.
    return { oldest: head === 0 ? 0 : Math.min(oldest || this.#ring.first, head + 1), head }
  }

  async *read({ since, follow, signal, types, until }: ReadOptions): AsyncGenerator<LogPage, void, void> {
    if (signal.aborted) return
    const reader = this.#enter(signal)
    try {
      const bounds = this.bounds()
      const start = startAt(since, bounds)
      if (start.gap !== undefined) yield { kind: 'gap', gap: { type: 'gap', ...start.gap, ...bounds } }
      let cursor = start.after
      while (!signal.aborted && cursor < (until?.() ?? Number.POSITIVE_INFINITY)) {
        const page = this.#page(cursor, until?.())
        if (page === undefined) {
          if (!follow || this.#closed) return
          await reader.wait()
        } else if (page.first > cursor + 1) {
          yield this.#gap(cursor, page.first)
          cursor = page.first - 1
        } else {
          cursor = page.last
          const shown = types === undefined ? page : filtered(page, types)
          // A long log with nothing to show must not be searched in one breath.
          if (shown === undefined) await giveWay()
          else yield shown
        }
      }
    } finally {
      reader.leave()
    }
  }

  close(): void {
    this.#closed = true
    this.#wake()
  }

  /** Listens to the signal once for the whole life of a reader; waiting again and again must cost next to nothing. */
  #enter(signal: AbortSignal): Reader {
    let wake = (): void => {}
    const onAbort = (): void => wake()
    signal.addEventListener('abort', onAbort)
    this.#readers += 1
    return {
      wait: () =>
        new Promise((resolve) => {
          wake = resolve
          this.#waiting.add(wake)
        }),
      leave: () => {
        this.#readers -= 1
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', onAbort)
      },
    }
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = new Set()
    for (const resolve of waiting) resolve()
  }

  #page(cursor: Cursor, until: Cursor | undefined): Frames | undefined {
    const end = Math.min(this.#published, until ?? this.#published)
    if (cursor >= end) return undefined
    if (this.#newest?.first === cursor + 1 && this.#newest.last <= end) return this.#newest
    const segment =
      cursor + 1 >= this.#ring.first ? this.#join(cursor, end, pageLimits) : this.#fromJournal(cursor, end)
    return toPage(segment)
  }

  /** What the journal has after a cursor; what the ring has when retention has passed, which may be nothing up to `end`. */
  #fromJournal(cursor: Cursor, end: Cursor): Segment {
    const stored = this.#journal.read(cursor)
    if (stored === undefined || stored.first > end) return this.#join(this.#ring.first - 1, end, pageLimits)
    return upTo(after(stored, cursor), end)
  }

  /** Joins frames of the ring after a cursor, at least one. */
  #join(cursor: Cursor, end: Cursor, limits: { readonly events: number; readonly bytes: number }): Segment {
    let text = ''
    let bytes = 0
    let seq = cursor
    while (seq < end && seq - cursor < limits.events) {
      bytes += this.#ring.sizeOf(seq + 1)
      if (text !== '' && bytes > limits.bytes) break
      text += this.#ring.at(seq + 1) ?? ''
      seq += 1
    }
    return { first: cursor + 1, last: seq, text }
  }

  #gap(requested: Cursor, oldest: Cursor): LogPage {
    return { kind: 'gap', gap: { type: 'gap', requested, oldest, head: this.#published, reason: 'retention' } }
  }
}

function toPage({ first, last, text }: Segment): Frames {
  return { kind: 'frames', first, last, data: Buffer.from(text) }
}

function filtered(page: Frames, types: ReadonlySet<string>): Frames | undefined {
  const text = onlyTypes(page.data.toString(), types)
  return text === '' ? undefined : { ...page, data: Buffer.from(text) }
}
