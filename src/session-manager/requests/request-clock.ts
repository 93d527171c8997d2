import type { Request } from '../../protocol/protocol.ts'

/** Node's timers fire at once when they are set to more. */
const longestTimerMs = 2 ** 31 - 1

/** On the monotonic clock. */
interface Due {
  remindAt: number | undefined
  readonly endAt: number
}

export interface ClockEvents {
  /** Three quarters of the time have passed, and nobody was reminded before. Called once for each request. */
  remind(id: string): void
  /** The deadline has passed. */
  end(id: string): void
  onDefect(error: unknown): void
}

/**
 * The deadlines of the open requests of one session. How much time is left is taken from the wall clock when a request
 * begins to be watched, and is never more than the request was given: a clock that was set back grants nothing. From then on
 * the monotonic clock counts.
 */
export class RequestClock {
  readonly #events: ClockEvents
  readonly #due = new Map<string, Due>()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(events: ClockEvents) {
    this.#events = events
  }

  watch({ id, created_at, deadline, reminded_at }: Request): void {
    if (deadline === undefined || this.#isClosed) return
    const end = Date.parse(deadline)
    const given = Math.max(end - Date.parse(created_at), 0)
    const left = Math.min(Math.max(end - Date.now(), 0), given)
    const now = performance.now()
    this.#due.set(id, {
      endAt: now + left,
      remindAt: reminded_at === undefined && left > 0 ? now + Math.max(left - given / 4, 0) : undefined,
    })
    this.#arm()
  }

  forget(id: string): void {
    if (this.#due.delete(id)) this.#arm()
  }

  /** Watches nothing any more. */
  close(): void {
    this.#isClosed = true
    this.#due.clear()
    this.#arm()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#due.size === 0) return
    const next = Math.min(...[...this.#due.values()].map(({ remindAt, endAt }) => remindAt ?? endAt))
    const wait = Math.min(Math.max(Math.ceil(next - performance.now()), 0), longestTimerMs)
    this.#timer = setTimeout(() => this.#fire(), wait).unref()
  }

  #fire(): void {
    const now = performance.now()
    for (const [id, due] of [...this.#due]) {
      if (due.endAt <= now) {
        this.#due.delete(id)
        this.#tell(() => this.#events.end(id))
      } else if (due.remindAt !== undefined && due.remindAt <= now) {
        due.remindAt = undefined
        this.#tell(() => this.#events.remind(id))
      }
    }
    this.#arm()
  }

  /** A defect in what is told must not take the process along: nobody above a timer would catch it. */
  #tell(tell: () => void): void {
    try {
      tell()
    } catch (error) {
      this.#events.onDefect(error)
    }
  }
}
