import { type Segment, wholeFrames } from '../../event-log/event-log.ts'
import { type Cursor, Refusal } from '../../protocol/protocol.ts'
import type { Store } from '../../store/store.ts'

/** The part of a session's log that is stored. */
export class StoredEvents {
  readonly #store: Store
  readonly #id: string
  readonly #onDefect: (error: unknown) => void
  #isTold = false

  /** `onDefect` is told once that something cannot be read. */
  constructor(store: Store, id: string, onDefect: (error: unknown) => void) {
    this.#store = store
    this.#id = id
    this.#onDefect = onDefect
  }

  /** Events after a cursor that can be read; marked when something between cannot. */
  read(after: Cursor): Segment | undefined {
    const stored = this.#store.events(this.#id, after)
    const segment = stored && wholeFrames(stored, after)
    if (segment?.lacks !== undefined && !this.#isTold) {
      this.#isTold = true
      this.#onDefect(this.#refusal(after))
    }
    return segment
  }

  /** The same where all of them are needed: a run does again, or leaves undone, what they say. Throws `Refusal('session_damaged')`. */
  need(after: Cursor): Segment | undefined {
    const segment = this.read(after)
    if (segment?.lacks !== undefined && segment.first > after + 1) throw this.#refusal(after)
    return segment
  }

  /** Reads what events say that are needed, from that one on. */
  reading<T>(seq: Cursor, read: () => T): T {
    try {
      return read()
    } catch (failure) {
      // A store that takes no reads now says nothing of what is stored.
      throw failure instanceof Refusal ? failure : this.#refusal(seq - 1)
    }
  }

  #refusal(after: Cursor): Refusal {
    const details = [{ path: 'stored.events', message: `what follows event ${after} is not as it must be` }]
    return new Refusal('session_damaged', `Stored data of session ${this.#id} cannot be read: events`, { details })
  }
}
