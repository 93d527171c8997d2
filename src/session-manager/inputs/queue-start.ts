import { catalogue, Refusal, type StopReason } from '../../protocol/protocol.ts'
import type { AgentRef } from '../../runtime/runtime.ts'
import type { InputRecord } from '../../store/store.ts'
import type { ActiveRun } from '../runs/active-run.ts'
import type { RunPlan, RuntimeLease } from '../runs/run-plan.ts'
import type { SessionState } from '../state/session-state.ts'
import { switchOf } from './gate.ts'
import { applyRules, causeOf } from './queue-rules.ts'

/** What a start from the queue needs of the runs of its session. */
export interface QueueRuns {
  readonly current: ActiveRun | undefined
  begin(plan: RunPlan, deliver: (runId: string) => void): ActiveRun
  /** Gets a runtime ready: for an agent, or for the one that answers now. */
  lease(agent: AgentRef | undefined): Promise<RuntimeLease>
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

/** A start that is under way. */
interface Start {
  /** One of the server's runs is free for it. */
  hasSlot: boolean
}

/** Starts a run with what waits in the queue of one session, as soon as one of the server's runs is free. */
export class QueueStart {
  readonly #state: SessionState
  readonly #runs: QueueRuns
  /** The start that is under way; a stop takes it back. */
  #pending: Start | undefined
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
    const start: Start = { hasSlot: false }
    this.#pending = start
    this.#refused = undefined
    void this.#start(start)
      .catch((cause: unknown) => this.#state.around.onDefect(cause))
      .finally(() => this.#giveUp(start))
  }

  /** A start that has not begun yet does not begin any more. */
  takeBack(): void {
    if (this.#pending !== undefined) this.#giveUp(this.#pending)
  }

  /** Another run of the session takes the place of the start that is under way, with its slot; not of one that has none yet. */
  yieldSlot(): boolean {
    const start = this.#pending
    if (start?.hasSlot !== true) return false
    start.hasSlot = false
    this.#giveUp(start)
    return true
  }

  /** Goes on with what waits when a run has ended. */
  after(reason: StopReason): void {
    this.#refused = undefined
    if (applyRules(this.#state.queue, causeOf(reason))) this.start()
  }

  get #mayStart(): boolean {
    return this.#state.recorder.isOpen && !this.#state.around.isDraining()
  }

  async #start(start: Start): Promise<void> {
    const { slots } = this.#state.around
    this.#step = { waitsFor: 'slot', since: new Date().toISOString() }
    await slots.take()
    start.hasSlot = true
    this.#step = { waitsFor: 'agent', since: new Date().toISOString() }
    for (;;) {
      const wanted = this.#wanted(start)
      if (wanted === undefined) return
      const lease = await this.#lease(wanted)
      // What waits may have been edited meanwhile.
      if (lease !== undefined && isFor(this.#wanted(start), wanted)) {
        this.#begin(lease, wanted)
        start.hasSlot = false
        return
      }
      // In this breath, so that a run that ends while the lease is given back can start the queue.
      if (this.#wanted(start) === undefined) this.#giveUp(start)
      await lease?.release()
    }
  }

  #giveUp(start: Start): void {
    if (this.#pending === start) this.#pending = undefined
    if (start.hasSlot) this.#state.around.slots.release()
    start.hasSlot = false
  }

  /** What the run shall begin with; nothing when there shall be none any more. */
  #wanted(start: Start): InputRecord | undefined {
    const { queue } = this.#state
    if (this.#pending !== start || !this.#mayStart || this.#runs.current !== undefined) return undefined
    return queue.hasReady('steer') || queue.hasReady('followup') ? queue.first : undefined
  }

  async #lease(wanted: InputRecord): Promise<RuntimeLease | undefined> {
    try {
      const lease = await this.#runs.lease(agentOf(wanted))
      const { model } = wanted
      if (model === undefined || wanted.kind === 'steer') return lease
      try {
        await switchOf(lease.runtime).check(model)
        return lease
      } catch (refusal) {
        await lease.release()
        throw refusal
      }
    } catch (cause) {
      this.#refuse(wanted, cause)
      return undefined
    }
  }

  #begin(lease: RuntimeLease, { kind, model }: InputRecord): void {
    const { queue } = this.#state
    const own = kind === 'followup' ? { model } : {}
    this.#runs.begin({ lease, messages: [], trigger: 'queue', ...own }, (runId) => {
      for (const input of queue.takeFirst(runId)) this.#state.deliver(input, runId)
    })
  }

  /** An input that asks for what does not exist fails; everything else is held, and the next input or run tries again. */
  #refuse(wanted: InputRecord, cause: unknown): void {
    const { queue, recorder } = this.#state
    const waits = queue.find(wanted.id)
    const refusal = cause instanceof Refusal ? cause : undefined
    if (refusal !== undefined && agentOf(wanted) !== undefined && !catalogue[refusal.code].retryable) {
      const { code, message } = refusal
      if (waits !== undefined) queue.fail(waits, { code, message })
      return
    }
    if (refusal === undefined) this.#state.around.onDefect(cause)
    const error = refusal?.message ?? 'the agent cannot be opened'
    this.#refused = { since: new Date().toISOString(), message: error }
    recorder.event({ type: 'error', error, code: 'agent_unavailable' })
    applyRules(queue, 'unopened')
  }
}

/** The agent that a follow-up wants. Steering is read by whoever answers. */
function agentOf({ kind, agent, agent_name }: InputRecord): AgentRef | undefined {
  return kind === 'steer' || agent === undefined ? undefined : { source: agent, name: agent_name }
}

/** Whether a runtime that was made ready for one input is right for another. */
function isFor(next: InputRecord | undefined, made: InputRecord): boolean {
  if (next === undefined) return false
  const [a, b] = [agentOf(next), agentOf(made)]
  return a?.source === b?.source && a?.name === b?.name && (a === undefined || next.model === made.model)
}
