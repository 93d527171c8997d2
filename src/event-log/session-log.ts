import { type Cursor, type ForeignEvent, frame, type LogBounds } from '../protocol/protocol.ts'
import { encode } from './encode.ts'
import type { EventLog, Journal, LogPage, ReadOptions, Segment } from './event-log.ts'
import { type Frames, Readers, toPage } from './reading.ts'
import { Ring, type RingLimits } from './ring.ts'
import { after, upTo } from './segment.ts'

const pageLimits = { events: 256, bytes: 256 * 1024 } as const
const segmentBytes = 64 * 1024

/** A log over a journal: the newest events from memory, older ones from what is stored. `head`: where it goes on. */
export function createSessionLog(journal: Journal, limits: RingLimits, head = journal.bounds().head): EventLog {
  return new SessionLog(journal, limits, head)
}

class SessionLog implements EventLog {
  readonly #journal: Journal
  readonly #ring: Ring
  readonly #readers = new Readers()
  #published: Cursor
  #drained: Cursor
  #undrainedBytes = 0
  /** The page that the newest commit made: readers that keep up share its bytes. */
  #newest: Frames | undefined

  constructor(journal: Journal, limits: RingLimits, head: Cursor) {
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
    return this.#readers.count
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
    this.#readers.wake()
  }

  bounds(): LogBounds {
    const head = this.#published
    const { oldest } = this.#journal.bounds()
    // Retention may have removed what is stored and not published yet; a cursor beyond the head would be none.
    return { oldest: head === 0 ? 0 : Math.min(oldest || this.#ring.first, head + 1), head }
  }

  read(options: ReadOptions): AsyncGenerator<LogPage, void, void> {
    return this.#readers.read(this, options)
  }

  close(): void {
    this.#readers.close()
  }

  page(cursor: Cursor, until: Cursor | undefined): Frames | undefined {
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
    if (stored === undefined || stored.first > end) {
      return { ...this.#join(this.#ring.first - 1, end, pageLimits), lacks: stored?.lacks }
    }
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
}
