import { type Cursor, type FleetEvent, frame, type LogBounds } from '../protocol/protocol.ts'
import { eventPage, fitting } from './event-page.ts'
import { type Policy, retired } from './retention.ts'
import type { Segment } from './store.ts'

interface StoredEvent {
  readonly last: Cursor
  /** Milliseconds since 1970. */
  readonly at: number
  readonly text: string
  readonly size: number
}

/** What the memory store was told over all sessions. */
export class FleetEvents {
  #events: StoredEvent[] = []
  #head = 0

  get bounds(): LogBounds {
    return { oldest: this.#events.at(0)?.last ?? 0, head: this.#head }
  }

  append(event: FleetEvent): void {
    this.#head += 1
    const text = frame(this.#head, JSON.stringify(event))
    const at = Date.parse(event.timestamp)
    this.#events.push({ last: this.#head, at, text, size: Buffer.byteLength(text) })
  }

  read(after: Cursor): Segment | undefined {
    const from = this.#events.findIndex(({ last }) => last > after)
    if (from === -1) return undefined
    const page = fitting(this.#events.slice(from, from + eventPage.segments))
    const [first, last] = [page.at(0), page.at(-1)]
    if (first === undefined || last === undefined) return undefined
    return { first: first.last, last: last.last, text: page.map(({ text }) => text).join('') }
  }

  retain(policy: Policy): number {
    const gone = retired(this.#events.slice(0, -1), this.#head, policy)
    this.#events = this.#events.slice(gone)
    return gone
  }
}
