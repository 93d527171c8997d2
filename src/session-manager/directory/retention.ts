import { setImmediate as giveWay } from 'node:timers/promises'
import { Refusal } from '../../protocol/protocol.ts'
import type { Store } from '../../store/store.ts'
import type { SessionMap } from './session-map.ts'
import { staleSessions } from './stale-sessions.ts'

/** What is kept: what is younger than so many milliseconds, and of that the newest; all when nothing is said. */
export interface Kept {
  readonly ageMs: number
  readonly newest?: number | undefined
}

export interface RetentionOptions {
  readonly store: Store
  /** Of each log. Runs, inputs and requests that have ended are kept as long. */
  readonly eventRetention?: Kept | undefined
  /** Milliseconds after which pieces of what other events tell whole leave the logs. */
  readonly deltaRetentionMs?: number | undefined
  /** Of all root sessions, by their last activity; those go with all below them. */
  readonly sessionRetention?: Kept | undefined
  /** How long a repeated command is known by its idempotency key, in milliseconds; a day when nothing is said. */
  readonly idempotencyRetentionMs?: number | undefined
  readonly onDefect?: ((error: unknown) => void) | undefined
}

const hourMs = 60 * 60_000
/** What is told over all sessions: enough for a dashboard that comes back after a week. */
const fleet = { ageMs: 7 * 24 * hourMs, newest: 100_000 } as const

/** Removes what has been kept long enough: at the start, and then every hour, one thing after the other. */
export class Retention {
  readonly #sessions: SessionMap
  readonly #options: RetentionOptions
  readonly #leave = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #passing: Promise<void> = Promise.resolve()

  constructor(sessions: SessionMap, options: RetentionOptions) {
    this.#sessions = sessions
    this.#options = options
  }

  start(): void {
    this.#timer = setInterval(() => void this.pass(), hourMs).unref()
    void this.pass()
  }

  /** A pass that goes on stops at its next step. */
  close(): void {
    clearInterval(this.#timer)
    this.#leave.abort()
  }

  /** Removes what is due now, after a pass that goes on. */
  pass(): Promise<void> {
    this.#passing = this.#passing.then(() => this.#pass())
    return this.#passing
  }

  /** A store that cannot do it now is asked again in an hour. */
  async #pass(): Promise<void> {
    try {
      for await (const _ of this.#steps()) if (this.#leave.signal.aborted) return
    } catch (failure) {
      if (!(failure instanceof Refusal)) this.#options.onDefect?.(failure)
    }
  }

  async *#steps(): AsyncGenerator<unknown, void, void> {
    const { store, eventRetention: events, deltaRetentionMs, sessionRetention } = this.#options
    const { idempotencyRetentionMs = 24 * hourMs } = this.#options
    const before = (milliseconds: number): string => new Date(Date.now() - milliseconds).toISOString()
    if (sessionRetention !== undefined) yield* this.#removeSessions(sessionRetention)
    if (events !== undefined) {
      yield await store.retain({ before: before(events.ageMs), keep: events.newest })
      yield await store.forgetRecords(before(events.ageMs))
    }
    if (deltaRetentionMs !== undefined) yield await store.thin(before(deltaRetentionMs))
    yield await store.retainFleet({ before: before(fleet.ageMs), keep: fleet.newest })
    yield await store.forgetKeys(before(idempotencyRetentionMs))
  }

  async *#removeSessions(kept: Kept): AsyncGenerator<void, void, void> {
    const { store } = this.#options
    const before = Date.now() - kept.ageMs
    for (const stale of await staleSessions(store, { before, newest: kept.newest, signal: this.#leave.signal })) {
      await this.#sessions.removeUnused(stale)
      await giveWay()
      yield
    }
  }
}
