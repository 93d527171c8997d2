import { setTimeout as wait } from 'node:timers/promises'
import { Refusal } from '../protocol/protocol.ts'
import type { Agents } from '../runtime/runtime.ts'
import type { Store } from '../store/store.ts'
import type { SessionMap } from './session-map.ts'

export type ManagerPhase = 'starting' | 'ready' | 'draining' | 'closed'

export interface Readiness {
  readonly ready: boolean
  readonly phase: ManagerPhase
  readonly active_sessions: number
  readonly store_connected: boolean
  readonly latest_error: string | undefined
}

export interface LifecycleOptions {
  readonly store: Store
  readonly agents: Agents
  readonly eventRetention?: { readonly ageMs: number; readonly newest?: number | undefined } | undefined
  readonly idempotencyRetentionMs?: number | undefined
  /** Done when the store is ours, before anything that a former process left is taken up. */
  readonly beforeRecovery?: (() => Promise<void>) | undefined
  readonly onDefect?: ((error: unknown) => void) | undefined
}

/** How often it is looked whether all runs have come to rest. */
const lookEveryMs = 10
const hourMs = 60 * 60_000

const unready = {
  starting: 'the server is starting',
  draining: 'the server is shutting down',
  closed: 'the server is closed',
} as const

/** The phases of a manager, and what is done in each. */
export class Lifecycle {
  readonly #sessions: SessionMap
  readonly #options: LifecycleOptions
  #phase: ManagerPhase = 'starting'
  #retention: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  constructor(sessions: SessionMap, options: LifecycleOptions) {
    this.#sessions = sessions
    this.#options = options
  }

  get phase(): ManagerPhase {
    return this.#phase
  }

  get readiness(): Readiness {
    const { connected, error } = this.#options.store.health()
    const phase = this.#phase
    return {
      ready: phase === 'ready' && connected,
      phase,
      active_sessions: this.#sessions.loaded.filter((session) => session.runs.current !== undefined).length,
      store_connected: connected,
      latest_error: error ?? (phase === 'ready' ? undefined : unready[phase]),
    }
  }

  async start(): Promise<void> {
    const { store } = this.#options
    await store.open()
    await this.#options.beforeRecovery?.()
    const interrupted = store.unfinishedRuns().map((run) => this.#sessions.open(run.session_id))
    await Promise.all(interrupted.map((session) => session.settled()))
    this.#retention = setInterval(() => this.#retain(), hourMs).unref()
    this.#phase = 'ready'
    this.#retain()
  }

  async drain(graceMs: number): Promise<void> {
    if (this.#phase === 'ready') this.#phase = 'draining'
    const end = performance.now() + graceMs
    while (performance.now() < end && this.#sessions.loaded.some((session) => !session.isAtRest))
      await wait(lookEveryMs)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  needStarted(): void {
    if (this.#phase === 'starting') throw new Refusal('starting', undefined, { retryAfter: 1 })
    if (this.#phase === 'closed') throw new Refusal('shutting_down', undefined, { retryAfter: 1 })
  }

  needReady(): void {
    this.needStarted()
    if (this.#phase === 'draining') throw new Refusal('shutting_down', undefined, { retryAfter: 1 })
    if (this.#options.store.pressure !== undefined) throw new Refusal('overloaded', undefined, { retryAfter: 1 })
  }

  async #close(): Promise<void> {
    this.#phase = 'closed'
    clearInterval(this.#retention)
    await this.#sessions.close()
    await this.#options.store.close()
    await this.#options.agents.close()
  }

  /** Old events and old keys go; a store that cannot do it now is asked again in an hour. */
  #retain(): void {
    const { store, eventRetention: kept, idempotencyRetentionMs = 24 * hourMs, onDefect } = this.#options
    const before = (milliseconds: number): string => new Date(Date.now() - milliseconds).toISOString()
    const events = kept && store.retain({ before: before(kept.ageMs), keep: kept.newest })
    Promise.all([events, store.forgetKeys(before(idempotencyRetentionMs))]).catch((failure: unknown) => {
      if (!(failure instanceof Refusal)) onDefect?.(failure)
    })
  }
}
