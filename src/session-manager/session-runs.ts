import { type InputMessage, Refusal, type Run, type RunTrigger } from '../protocol/protocol.ts'
import type { AgentRef } from '../runtime/runtime.ts'
import type { ActiveRun, StopRequest } from './active-run.ts'
import { type Gate, switchOf } from './gate.ts'
import type { RunControl } from './run-control.ts'
import type { SessionState } from './session-state.ts'

/** What a client wants to be run. */
export interface RunRequest {
  readonly agent: AgentRef
  readonly messages: readonly InputMessage[]
  readonly model?: string | undefined
  readonly trigger: RunTrigger
}

/** Starts and stops the runs of one session. */
export class SessionRuns {
  readonly #state: SessionState
  readonly #gate: Gate
  readonly #control: RunControl

  constructor(state: SessionState, gate: Gate, control: RunControl) {
    this.#state = state
    this.#gate = gate
    this.#control = control
  }

  /** The run that goes on, if any. */
  get current(): ActiveRun | undefined {
    return this.#control.current
  }

  /** Loads what the run needs, then decides. Resolves when the beginning is committed. */
  async start(request: RunRequest): Promise<ActiveRun> {
    this.#gate.decide('run')
    this.#state.load()
    const lease = await this.#gate.lease(request.agent)
    try {
      if (request.model !== undefined && request.model !== '') await switchOf(lease.runtime).check(request.model)
      this.#gate.decide('run')
      if (this.#state.around.isDraining()) throw new Refusal('shutting_down', undefined, { retryAfter: 1 })
      if (!this.#state.around.slots.tryTake()) throw new Refusal('too_many_runs', undefined, { retryAfter: 1 })
    } catch (refusal) {
      await lease.release()
      throw refusal
    }
    const run = this.#control.begin({ ...request, lease })
    await this.#state.recorder.settled()
    return run
  }

  /** Stops the run that goes on. Resolves when that is committed; the run's `ended` tells when it has left. */
  async stop(request: StopRequest, runId: string | undefined): Promise<ActiveRun | Run | undefined> {
    this.#gate.decide('cancel')
    if (runId !== undefined && runId !== this.current?.id) return this.find(runId)
    const run = this.#control.stop(request)
    await this.#state.recorder.settled()
    return run
  }

  /** A run as it stands, told when that is committed. */
  async find(runId: string): Promise<Run> {
    const live = this.current?.id === runId ? this.current.state : undefined
    await this.#state.recorder.settled()
    const run = live ?? this.#state.around.store.run(this.#state.id, runId)
    if (run === undefined) throw new Refusal('unknown_run')
    return run
  }
}
