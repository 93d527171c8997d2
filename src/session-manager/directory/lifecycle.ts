import { setTimeout as wait } from 'node:timers/promises'
import { Refusal } from '../../protocol/protocol.ts'
import type { Agents } from '../../runtime/runtime.ts'
import type { Store } from '../../store/store.ts'
import { Retention, type RetentionOptions } from './retention.ts'
import type { SessionMap } from './session-map.ts'
import { type TakenUpRuns, takenUpRuns } from './taken-up-runs.ts'

export type ManagerPhase = 'starting' | 'ready' | 'draining' | 'closed'

export interface Readiness {
  readonly ready: boolean
  readonly phase: ManagerPhase
  readonly active_sessions: number
  readonly store_connected: boolean
  readonly latest_error: string | undefined
}

export interface LifecycleOptions extends RetentionOptions {
  readonly store: Store
  readonly agents: Agents
  /** Done when the store is ours, before anything that a former process left is taken up. */
  readonly beforeRecovery?: (() => Promise<void>) | undefined
}

/** How often it is looked whether all runs have come to rest. */
const lookEveryMs = 10

const unready = {
  starting: 'the server is starting',
  draining: 'the server is shutting down',
  closed: 'the server is closed',
} as const

/** The phases of a manager, and what is done in each. */
export class Lifecycle {
  readonly #sessions: SessionMap
  readonly #options: LifecycleOptions
  readonly #retention: Retention
  #phase: ManagerPhase = 'starting'
  #closing: Promise<void> | undefined

  constructor(sessions: SessionMap, options: LifecycleOptions) {
    this.#sessions = sessions
    this.#options = options
    this.#retention = new Retention(sessions, options)
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

  /** Resolves with what became of the runs that a former process has left. An end that comes meanwhile ends it too. */
  async start(): Promise<TakenUpRuns> {
    const { store } = this.#options
    await store.open()
    await this.#options.beforeRecovery?.()
    const found = await this.#sessions.takeUp()
    // One that cannot be committed is taken up later, like all whose commit fails.
    await Promise.allSettled(found.map((session) => session.settled()))
    const waiting = store.waitingSessions()
    await this.#sessions.load(waiting)
    if (this.#phase === 'starting') {
      this.#phase = 'ready'
      // In one breath with that: nobody may come in between. Found again, for a commit that failed may have unloaded some.
      for (const id of waiting) this.#sessions.find(id)?.inputs.goOn()
      // Not before: what was loaded for them must still be there.
      this.#sessions.startSweeping()
      this.#retention.start()
    }
    return takenUpRuns(found)
  }

  /** A process that is still starting takes up no more. Answers how many runs have not come to rest. */
  async drain(graceMs: number): Promise<number> {
    this.#phase = this.#phase === 'ready' ? 'draining' : 'closed'
    const end = performance.now() + graceMs
    while (performance.now() < end && this.#sessions.loaded.some((session) => !session.isAtRest))
      await wait(lookEveryMs)
    return this.#sessions.loaded.filter((session) => !session.isAtRest).length
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Removes what has been kept long enough. */
  retain(): Promise<void> {
    return this.#retention.pass()
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
    this.#retention.close()
    await this.#sessions.close()
    await this.#options.store.close()
    await this.#options.agents.close()
  }
}
