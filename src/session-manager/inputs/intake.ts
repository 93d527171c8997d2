import type { LogPage } from '../../event-log/event-log.ts'
import { type Cursor, type IfBusy, type InputMessage, Refusal, type Run } from '../../protocol/protocol.ts'
import type { AgentRef } from '../../runtime/runtime.ts'
import type { ActiveRun } from '../runs/active-run.ts'
import type { RunControl } from '../runs/run-control.ts'
import type { RunPlan } from '../runs/run-plan.ts'
import type { RunRequest, SessionRuns } from '../runs/session-runs.ts'
import type { SessionState } from '../state/session-state.ts'
import type { Gate } from './gate.ts'
import { unheard } from './new-input.ts'

/** What a client wants to be run or read, and what shall happen when the session is busy. */
export interface IntakeRequest extends Omit<RunRequest, 'agent'> {
  /** Without one, whichever agent answers then. */
  readonly agent: AgentRef | undefined
  readonly ifBusy: IfBusy
  readonly sentBy?: string | undefined
}

/** What became of a request. JSON, from which repeats of the request are answered too. */
export interface Submission {
  readonly status: 'started' | 'steered' | 'queued'
  readonly session_id: string
  /** The run that has begun, or that is steered. */
  readonly run?: Run | undefined
  /** What waits now. */
  readonly inputIds: readonly string[]
  /** Where its stream begins to look. */
  readonly since: Cursor
}

const settlements: ReadonlySet<string> = new Set(['input_settled'])

/** Takes what clients want of a session whatever it does: starts it, queues it, or puts it in the place of what goes on. */
export class Intake {
  readonly #state: SessionState
  readonly #gate: Gate
  readonly #control: RunControl
  readonly #runs: SessionRuns

  constructor(state: SessionState, gate: Gate, control: RunControl, runs: SessionRuns) {
    this.#state = state
    this.#gate = gate
    this.#control = control
    this.#runs = runs
  }

  /** Loads what a run would need, then decides. Resolves when that is committed and, where a run begins, when it has begun. */
  async submit(request: IntakeRequest): Promise<Submission> {
    const isPlain = request.agent === undefined && (request.model ?? '') === ''
    const outcome = this.#gate.admit(request.ifBusy)
    // Whoever answers reads it: there is nothing to be loaded.
    if (isPlain && (outcome === 'queue' || outcome === 'steer'))
      return this.#enqueue(outcome, request, request.messages)
    const agent = request.agent ?? this.#gate.needAgent()
    const plan = await this.#runs.prepare({ ...request, agent })
    let accepted: Promise<Submission>
    try {
      accepted = this.#accept(plan, request)
    } catch (refusal) {
      await plan.lease.release()
      throw refusal
    }
    return accepted
  }

  /** Decides and records in one breath. Throws what is refused; from then on the plan's runtime is taken care of. */
  #accept(plan: RunPlan, request: IntakeRequest): Promise<Submission> {
    const outcome = this.#gate.admit(request.ifBusy)
    switch (outcome) {
      case 'start':
        return this.#runs.begin(plan, (run) => this.#started(run)).then(([, submission]) => submission)
      case 'queue':
      case 'steer':
        return this.#enqueue(outcome, { ...request, agent: plan.agent }, plan.messages).finally(plan.lease.release)
      case 'interrupt':
      case 'rollback':
        if (this.#state.around.isDraining()) throw new Refusal('shutting_down', undefined, { retryAfter: 1 })
        return this.#replace(plan, outcome === 'rollback')
    }
  }

  async #replace(plan: RunPlan, rollsBack: boolean): Promise<Submission> {
    const run = await this.#control.replace({ plan, rollsBack }).catch(async (refusal: unknown) => {
      await plan.lease.release()
      // The session is gone, and its gate knows why.
      this.#gate.decide('read')
      throw refusal
    })
    return this.#state.recorder.decided(this.#started(run))
  }

  async #enqueue(
    how: 'queue' | 'steer',
    { agent, model = '', sentBy }: IntakeRequest,
    messages: readonly InputMessage[],
  ): Promise<Submission> {
    const { log, queue, recorder } = this.#state
    const fresh = unheard(messages, this.#state)
    if (fresh.length === 0) throw nothingToWait()
    const since = log.head
    const run = how === 'steer' ? this.#control.current : undefined
    const wish = { agent: agent?.source, agent_name: agent?.name, model: model === '' ? undefined : model }
    const options = { sent_by: sentBy, ...(how === 'queue' && agent !== undefined ? wish : {}) }
    const added = queue.add(how === 'steer' ? 'steer' : 'followup', fresh, options)
    const inputIds = added.map(({ id }) => id)
    const place = { session_id: this.#state.id, inputIds, since }
    if (run === undefined) return recorder.decided({ status: 'queued', ...place })
    return recorder.decided({ status: 'steered', ...place, run: run.state })
  }

  #started({ state }: ActiveRun): Submission {
    return { status: 'started', session_id: this.#state.id, run: state, inputIds: [], since: state.first_seq - 1 }
  }

  /** The stream of the run that takes a request. */
  async read({ run, inputIds, since }: Submission, signal: AbortSignal): Promise<AsyncGenerator<LogPage, void, void>> {
    this.#gate.decide('read')
    const [first = ''] = inputIds
    return run === undefined ? this.#streamOf(first, since, signal) : this.#streamFrom(since, run.run_id, signal)
  }

  /** Nothing until a run takes the input, then that run; nothing at all when none does. */
  async *#streamOf(inputId: string, since: Cursor, signal: AbortSignal): AsyncGenerator<LogPage, void, void> {
    const { log, queue, around, id } = this.#state
    for await (const _ of log.read({ since, follow: true, signal, types: settlements })) {
      if (queue.find(inputId) !== undefined) continue
      const input = around.store.input(id, inputId)
      // What is not committed is told later.
      if (input?.state === 'queued' || input?.state === 'held') continue
      if (input === undefined) yield this.#forgotten(since)
      else if (input.run_id !== undefined) yield* await this.#streamOfRun(input.run_id, since, signal)
      return
    }
  }

  /** The whole run. */
  async #streamOfRun(runId: string, since: Cursor, signal: AbortSignal): Promise<AsyncGenerator<LogPage, void, void>> {
    const run = await this.#runs.known(runId)
    return this.#streamFrom(run === undefined ? since : run.first_seq - 1, runId, signal)
  }

  /** What follows a place up to the end of a run. */
  async #streamFrom(since: Cursor, runId: string, signal: AbortSignal): Promise<AsyncGenerator<LogPage, void, void>> {
    const { current } = this.#control
    const live = current?.id === runId ? current : undefined
    const ended = live === undefined ? await this.#runs.known(runId) : undefined
    if (live === undefined && ended === undefined) return only(this.#forgotten(since))
    const until = (): Cursor | undefined => live?.state.last_seq ?? ended?.last_seq
    return this.#state.log.read({ since, follow: true, signal, until })
  }

  /** What is shown of a run that is kept no longer, or of a message whose run is not known any longer. */
  #forgotten(since: Cursor): LogPage {
    return { kind: 'gap', gap: { type: 'gap', requested: since, ...this.#state.log.bounds(), reason: 'retention' } }
  }
}

async function* only(page: LogPage): AsyncGenerator<LogPage, void, void> {
  yield page
}

function nothingToWait(): Refusal {
  const details = [{ path: 'body.messages', message: 'must hold a new message when the session is busy' }]
  return new Refusal('invalid_request', undefined, { details })
}
