import { type ErrorCode, type IfBusy, Refusal } from '../../protocol/protocol.ts'
import type { AgentRef, Runtime } from '../../runtime/runtime.ts'
import type { RunControl } from '../runs/run-control.ts'
import type { RuntimeLease } from '../runs/run-plan.ts'
import type { RuntimeKeeper } from '../runs/runtime-keeper.ts'
import type { SessionState } from '../state/session-state.ts'
import { type Action, type Outcome, outcomes, type Status } from '../state/session-status.ts'
import { type Admission, admissions } from './admission.ts'
import type { Attachments } from './attachments.ts'

/** What every command of a session passes: may it be done now, and with which runtime. */
export class Gate {
  readonly #state: SessionState
  readonly #attachments: Attachments
  readonly #runs: () => RunControl
  readonly #keeper: RuntimeKeeper
  /** Set by the deletion: resolves when the last run has left. */
  #deletion: Promise<void> | undefined
  /** Set when nothing is recorded any more: why, and a promise that resolves when the last run has left. */
  #closed: { readonly code: 'store_unavailable' | 'shutting_down'; readonly left: Promise<void> } | undefined

  constructor(state: SessionState, attachments: Attachments, runs: () => RunControl, keeper: RuntimeKeeper) {
    this.#state = state
    this.#attachments = attachments
    this.#runs = runs
    this.#keeper = keeper
  }

  get status(): Status {
    if (this.#deletion !== undefined) return 'deleting'
    const { current } = this.#runs()
    if (current === undefined) return 'idle'
    return current.isStopping ? 'stopping' : 'running'
  }

  /** What a request to run does in the state the session is in; throws when it is refused. */
  admit(ifBusy: IfBusy): Exclude<Admission, object> {
    const { status } = this
    const isStarting = status === 'idle' && !this.#runs().isIdle
    return this.#checked(admissions[ifBusy][isStarting ? 'starting' : status], true)
  }

  /** It has run, in any process, or a runtime is attached. */
  get hasRuntime(): boolean {
    return this.#state.record.agent !== undefined || this.#attachments.runtime !== undefined
  }

  /** What an action does in the state the session is in; throws when it is refused. */
  decide(action: Action): Exclude<Outcome, object> {
    const writes = action !== 'read' && action !== 'cancel' && action !== 'delete'
    return this.#checked(outcomes[this.status][action], writes)
  }

  #checked<O extends string>(outcome: O | { readonly refuse: ErrorCode }, writes: boolean): O {
    if (this.#closed !== undefined) throw new Refusal(this.#closed.code, undefined, { retryAfter: 1 })
    if (typeof outcome === 'object') throw new Refusal(outcome.refuse)
    if (writes && this.#state.recorder.pressure !== undefined) {
      throw new Refusal('overloaded', undefined, { retryAfter: 1 })
    }
    return outcome
  }

  /** The agent that runs here; `session_not_running` when none ever has. */
  needAgent(): AgentRef {
    if (!this.hasRuntime) throw new Refusal('session_not_running')
    return this.#state.record.agent ?? { source: '' }
  }

  /** Gets a runtime ready: the attached one, or one of the agent's file. */
  async lease(agent: AgentRef): Promise<RuntimeLease> {
    const attached = this.#attachments.runtime
    if (attached !== undefined) {
      return { runtime: attached, source: this.#state.record.agent?.source ?? '', release: async () => {} }
    }
    const { agents, workingDir = process.cwd() } = this.#state.around
    const place = { workingDir: this.#state.record.working_dir ?? workingDir }
    const loan = await this.#keeper.lend((current) => agents.open(agent, { ...place, current }))
    return { ...loan, source: agent.source }
  }

  /** The same; who does not say which agent of a file means the one that answers now, not the one that was asked first. */
  leaseFor(agent: AgentRef): Promise<RuntimeLease> {
    const isNow = agent.name === undefined && this.#state.record.agent?.source === agent.source
    return isNow ? this.leaseCurrent() : this.lease(agent)
  }

  /** The same for the agent that answers now; for the default of its source, when the file has it no more. */
  async leaseCurrent(): Promise<RuntimeLease> {
    const { agent = { source: '' } } = this.#state.record
    return this.lease(agent).catch((refusal: unknown) => {
      if (refusal instanceof Refusal && refusal.code === 'unknown_agent') return this.lease({ source: agent.source })
      throw refusal
    })
  }

  /** From now on the session is gone for everybody, though its run may need a moment to leave. */
  closeForDeletion(left: Promise<void>): void {
    this.#deletion = left
  }

  /** From now on nothing is recorded, though a run may need a moment to leave. */
  close(code: 'store_unavailable' | 'shutting_down', left: Promise<void>): void {
    this.#closed = { code, left }
  }

  /** A commit failed, and the session is about to be loaded again. */
  get isLost(): boolean {
    return this.#closed?.code === 'store_unavailable'
  }

  /** Resolves when no run goes on. */
  async left(): Promise<void> {
    await (this.#deletion ?? this.#closed?.left ?? this.#runs().current?.ended)
  }
}

/** How the models of a runtime are switched; `model_switch_unsupported` when they cannot be. */
export function switchOf(runtime: Runtime): NonNullable<Runtime['models']> {
  if (runtime.models === undefined) throw new Refusal('model_switch_unsupported')
  return runtime.models
}
