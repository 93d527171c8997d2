import type { Cursor, LogBounds } from '../protocol/protocol.ts'
import { eventPage, fitting } from './event-page.ts'
import { type Policy, retired } from './retention.ts'
import type { Segment } from './store.ts'
import { thinned } from './thinning.ts'

/** A segment and how large it is; `at` in milliseconds since 1970. */
interface StoredSegment extends Segment {
  readonly at: number
  readonly size: number
}

/** A log of the memory store, of one session or over all: its newest segment always stays. */
export class MemoryLog {
  #segments: StoredSegment[] = []

  get bounds(): LogBounds {
    return { oldest: this.#segments.at(0)?.first ?? 0, head: this.#segments.at(-1)?.last ?? 0 }
  }

  /** `at` as RFC 3339. */
  append({ first, last, text }: Segment, at: string): void {
    const segment = { first, last, text, at: Date.parse(at), size: Buffer.byteLength(text) }
    this.#segments.push(segment)
  }

  page(after: Cursor): Segment | undefined {
    const from = this.#segments.findIndex(({ last }) => last > after)
    if (from === -1) return undefined
    const page = fitting(this.#segments.slice(from, from + eventPage.segments))
    const [first, last] = [page.at(0), page.at(-1)]
    if (first === undefined || last === undefined) return undefined
    return { first: first.first, last: last.last, text: page.map(({ text }) => text).join('') }
  }

  /** Removes old segments, of those before a seq. Answers how many. */
  retain(policy: Policy, needed: Cursor = Number.POSITIVE_INFINITY): number {
    const free = this.#segments.slice(0, -1).filter(({ last }) => last < needed)
    const gone = retired(free, this.bounds.head, policy)
    this.#segments = this.#segments.slice(gone)
    return gone
  }

  /** Takes the pieces out of segments from before an instant. Answers how many have changed. */
  thin(before: number): number {
    let changed = 0
    this.#segments = this.#segments.map((segment) => {
      const text = segment.at < before ? thinned(segment.text) : segment.text
      if (text === segment.text) return segment
      changed += 1
      return { ...segment, text, size: Buffer.byteLength(text) }
    })
    return changed
  }
}
