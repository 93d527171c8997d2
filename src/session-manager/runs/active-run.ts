import { newId, type Run, type StopReason, type Usage } from '../../protocol/protocol.ts'
import type { Resumption } from '../../runtime/runtime.ts'
import { EndsBelow } from './ends-below.ts'
import { OpenCalls } from './open-calls.ts'
import { RunActivity } from './run-activity.ts'
import { SafePoint } from './safe-point.ts'

const noUsage: Usage = { input_tokens: 0, output_tokens: 0, cached_input_tokens: 0, cached_write_tokens: 0 }

/** Who asked for a stop, and why. */
export interface StopRequest {
  readonly by: string
  readonly reason?: string | undefined
}

/** The reason that the signal of a run carries once it was stopped, or is over. */
export class RunStopped extends Error {
  constructor() {
    super('the run was stopped')
    this.name = 'RunStopped'
  }
}

/** A run that begins now. */
export function newRun(
  begin: Pick<Run, 'session_id' | 'agent' | 'agent_name' | 'trigger' | 'first_seq'> &
    Partial<Pick<Run, 'first_position' | 'root_run_id' | 'on_disconnect' | 'additional_prompt'>>,
): Run {
  const started_at = new Date().toISOString()
  return { ...begin, run_id: newId(), status: 'running', started_at, usage: noUsage, cost: 0 }
}

/** A run that somebody wants stopped. What was asked for first counts. */
export function canceledRun(run: Run, { by, reason }: StopRequest): Run {
  return { ...run, canceled: run.canceled ?? { by, reason, at: new Date().toISOString() } }
}

/** A run as it is from its end on. */
export function endedRun(
  { rolls_back, handed_over: _, ...run }: Run,
  how: Required<Pick<Run, 'status' | 'reason' | 'last_seq'>> & Pick<Run, 'error'>,
): Run {
  const ended_at = new Date().toISOString()
  return { ...run, ...how, ended_at, ...(rolls_back === true ? { rolled_back: true } : {}) }
}

/** A run while it goes on. */
export class ActiveRun {
  readonly #abort = new AbortController()
  readonly #ended = Promise.withResolvers<Run>()
  readonly activity = new RunActivity()
  /** What would be lost if it were left now. */
  readonly safePoint = new SafePoint()
  /** What a former process has done of it. */
  readonly past: Resumption | undefined
  /** What the tasks that it waits for have begun. */
  readonly endsBelow: EndsBelow
  /** The calls whose results it still owes. */
  readonly openCalls: OpenCalls
  #state: Run
  /** It has one of the server's places for runs. One that its process has left waits for it. */
  hasSlot = false

  constructor(state: Run, past?: Resumption, endsBelow = new EndsBelow([]), openCalls = new OpenCalls()) {
    this.#state = state
    this.past = past
    this.endsBelow = endsBelow
    this.openCalls = openCalls
  }

  get id(): string {
    return this.#state.run_id
  }

  get state(): Run {
    return this.#state
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Resolves with the run as it ended, once that is committed; rejects when it cannot be. */
  get ended(): Promise<Run> {
    return this.#ended.promise
  }

  get isStopping(): boolean {
    return this.#state.canceled !== undefined
  }

  /** Adds the usage of a model call. */
  spend(usage: Usage, cost: number): void {
    const sum = this.#state.usage
    this.#state = {
      ...this.#state,
      cost: this.#state.cost + cost,
      usage: {
        input_tokens: sum.input_tokens + usage.input_tokens,
        output_tokens: sum.output_tokens + usage.output_tokens,
        cached_input_tokens: sum.cached_input_tokens + usage.cached_input_tokens,
        cached_write_tokens: sum.cached_write_tokens + usage.cached_write_tokens,
      },
    }
  }

  /** Records who wants the run stopped, and why, for the end that is to come. */
  cancel(request: StopRequest): void {
    this.#state = canceledRun(this.#state, request)
  }

  /** Records that what it did leaves the conversation with its end. */
  rollBack(): void {
    this.#state = { ...this.#state, rolls_back: true }
  }

  /** What it did leaves the conversation with its end. */
  get rollsBack(): boolean {
    return this.#state.rolls_back === true
  }

  /** Records that the next process goes on with it. */
  handOver(): Run {
    this.#state = { ...this.#state, handed_over: true }
    return this.#state
  }

  /** Records that it goes on in this one: from now on the death of the process counts. */
  goOn(): Run {
    const { handed_over: _, ...state } = this.#state
    this.#state = { ...state, went_on_at: new Date().toISOString() }
    return this.#state
  }

  /** Aborts everything that the run does. */
  abort(reason: unknown = new RunStopped()): void {
    this.#abort.abort(reason)
  }

  end(reason: StopReason, last_seq: number, error?: Run['error']): Run {
    const how = { status: statusOf[reason], reason, last_seq, ...(error === undefined ? {} : { error }) }
    this.#state = endedRun(this.#state, how)
    return this.#state
  }

  /** Wakes those who wait for the end, as soon as it is committed. */
  settle(committed: Promise<void>): void {
    this.#ended.resolve(committed.then(() => this.#state))
    this.#ended.promise.catch(() => {})
  }
}

const statusOf: Readonly<Record<StopReason, Run['status']>> = {
  normal: 'completed',
  error: 'failed',
  canceled: 'canceled',
  interrupted: 'interrupted',
  hook_blocked: 'failed',
  loop_detected: 'failed',
  budget_exceeded: 'paused',
}
