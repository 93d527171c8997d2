import { Refusal, type StopReason } from '../protocol/protocol.ts'
import type { ActiveRun } from './active-run.ts'
import type { RunPlan, RuntimeLease } from './run-control.ts'
import type { SessionState } from './session-state.ts'

/** What a start from the queue needs of the runs of its session. */
export interface QueueRuns {
  readonly current: ActiveRun | undefined
  begin(plan: RunPlan, deliver: (runId: string) => void): ActiveRun
  /** Gets the session's runtime ready. */
  lease(): Promise<RuntimeLease>
}

/** What a start from the queue waits for, and since when. */
export interface QueueStep {
  readonly waitsFor: 'slot' | 'agent'
  readonly since: string
}

/** The agent could not be opened. */
export interface Refused {
  readonly since: string
  /** For a person. */
  readonly message: string
}

/** Starts a run with what waits in the queue of one session, as soon as one of the server's runs is free. */
export class QueueStart {
  readonly #state: SessionState
  readonly #runs: QueueRuns
  /** The start that is under way; a stop takes it back. */
  #pending: Promise<void> | undefined
  #step: QueueStep = { waitsFor: 'slot', since: '' }
  #refused: Refused | undefined

  constructor(state: SessionState, runs: QueueRuns) {
    this.#state = state
    this.#runs = runs
  }

  get isPending(): boolean {
    return this.#pending !== undefined
  }

  /** What the start that is under way waits for. */
  get step(): QueueStep | undefined {
    return this.isPending ? this.#step : undefined
  }

  /** Why the last start has not begun a run, if it has not. */
  get refused(): Refused | undefined {
    return this.#refused
  }

  start(): void {
    if (this.#runs.current !== undefined || this.isPending || !this.#mayStart) return
    const start: Promise<void> = this.#start(() => this.#pending === start)
      .catch((cause: unknown) => this.#state.around.onDefect(cause))
      .finally(() => {
        if (this.#pending === start) this.#pending = undefined
      })
    this.#pending = start
    this.#refused = undefined
  }

  /** A start that has not begun yet does not begin any more. */
  takeBack(): void {
    this.#pending = undefined
  }

  /** Goes on with what waits when a run has ended. */
  after(run: ActiveRun, reason: StopReason): void {
    this.#refused = undefined
    if (this.#goesOn(run, reason)) this.start()
  }

  get #mayStart(): boolean {
    return this.#state.recorder.isOpen && !this.#state.around.isDraining()
  }

  async #start(isWanted: () => boolean): Promise<void> {
    const { slots } = this.#state.around
    this.#step = { waitsFor: 'slot', since: new Date().toISOString() }
    await slots.take()
    this.#step = { waitsFor: 'agent', since: new Date().toISOString() }
    const lease = await this.#runs.lease().catch((cause: unknown) => this.#tellRefusal(cause))
    const { queue } = this.#state
    if (lease === undefined || !isWanted() || !this.#mayStart || this.#runs.current !== undefined || queue.isEmpty) {
      // In this breath, so that a run that ends while the lease is given back can start the queue.
      if (isWanted()) this.#pending = undefined
      slots.release()
      await lease?.release()
      return
    }
    const steering = queue.takeSteering()
    const followUp = steering.length > 0 ? undefined : queue.takeFollowUp()
    const inputs = followUp === undefined ? steering : [followUp]
    this.#runs.begin({ lease, messages: [], trigger: 'queue' }, (runId) => {
      for (const input of inputs) this.#state.deliver(input, runId)
    })
  }

  /** Whatever waits stays in the queue; the next input or run tries again. */
  #tellRefusal(cause: unknown): undefined {
    if (!(cause instanceof Refusal)) this.#state.around.onDefect(cause)
    const error = cause instanceof Refusal ? cause.message : 'the agent cannot be opened'
    this.#refused = { since: new Date().toISOString(), message: error }
    this.#state.recorder.event({ type: 'error', error, code: 'agent_unavailable' })
  }

  /**
   * A stop holds what was queued before it, and a budget everything; another failure holds follow-ups, which would only fail
   * too.
   */
  #goesOn(run: ActiveRun, reason: StopReason): boolean {
    const { queue } = this.#state
    if (reason === 'canceled') return queue.hasBeyond(run.held)
    if (reason === 'budget_exceeded') return false
    return reason === 'normal' ? !queue.isEmpty : queue.hasSteering
  }
}
