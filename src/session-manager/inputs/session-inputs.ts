import {
  type InputChange,
  type InputMessage,
  type QueuedInput,
  type QueueState,
  Refusal,
} from '../../protocol/protocol.ts'
import type { InputRecord, Page } from '../../store/store.ts'
import type { FollowUp } from '../answers.ts'
import type { RunControl } from '../runs/run-control.ts'
import type { SessionState } from '../state/session-state.ts'
import type { Attachments } from './attachments.ts'
import type { Gate } from './gate.ts'
import type { InputOptions } from './input-queue.ts'
import { applyRules } from './queue-rules.ts'

/** Takes what is said to a session while it works. A list is taken whole or refused whole. */
export class SessionInputs {
  readonly #state: SessionState
  readonly #gate: Gate
  readonly #control: RunControl
  readonly #attachments: Attachments

  constructor(state: SessionState, gate: Gate, control: RunControl, attachments: Attachments) {
    this.#state = state
    this.#gate = gate
    this.#control = control
    this.#attachments = attachments
  }

  get queue(): QueueState {
    this.#gate.needAgent()
    return this.#state.queue.state
  }

  async steer(messages: readonly InputMessage[], options?: InputOptions): Promise<void> {
    this.#gate.decide('steer')
    this.#gate.needAgent()
    this.#state.queue.add('steer', messages, options)
    await this.#state.recorder.decided()
  }

  /**
   * Says what the session itself has to say: to the run that goes on, or in a run of its own unless a budget has paused it. However
   * much waits to be written: nobody would say it again.
   */
  async recall(content: string): Promise<void> {
    const isIdle = this.#gate.status === 'idle'
    this.#state.queue.add(isIdle ? 'followup' : 'steer', [{ content }])
    if (isIdle && this.#state.record.paused !== undefined) applyRules(this.#state.queue, 'budget')
    else if (isIdle) this.#control.startQueued()
    await this.#state.recorder.settled()
  }

  /** Starts a run with follow-ups that were about to start one before the session was loaded again, where runs are taken up. */
  goOn(): void {
    const { record, around, queue } = this.#state
    if (!this.#control.isIdle) return
    if ((record.recovery ?? around.recovery.recovery) === 'resume') this.#control.startQueued()
    else applyRules(queue, 'interrupted')
  }

  // The queue as a resource

  /** All that waits, in the order of delivery. */
  async list(): Promise<readonly QueuedInput[]> {
    this.#gate.decide('read')
    const { list } = this.#state.queue
    await this.#state.recorder.settled()
    return list
  }

  /** Every input, whatever became of it, the newest first. */
  async page(page: { readonly limit: number; readonly cursor?: string | undefined }): Promise<Page<QueuedInput>> {
    this.#gate.decide('read')
    await this.#state.recorder.settled()
    return this.#state.around.store.allInputs(this.#state.id, page)
  }

  /** What became of an input; `unknown_input`. */
  async find(id: string): Promise<QueuedInput> {
    this.#gate.decide('read')
    const waiting = this.#state.queue.find(id)
    await this.#state.recorder.settled()
    return waiting ?? this.#settledInput(id)
  }

  /** Changes what waits. What may go on now that the session is idle starts a run. */
  async update(id: string, change: InputChange): Promise<QueuedInput> {
    this.#gate.decide('configure')
    const waiting = this.#state.queue.find(id)
    if (waiting === undefined) return this.#refuse(id)
    const input = this.#state.queue.update(waiting, change)
    const isReleased = change.held === false || (change.kind === 'followup' && input.state === 'queued')
    if (isReleased) this.#control.startQueued()
    return this.#state.recorder.decided(input)
  }

  /** Takes back what waits. */
  async cancel(id: string): Promise<QueuedInput> {
    this.#gate.decide('configure')
    const waiting = this.#state.queue.find(id)
    if (waiting === undefined) return this.#refuse(id)
    return this.#state.recorder.decided(this.#state.queue.cancel(waiting))
  }

  /** Tells whether a run takes it. */
  async followUp(messages: readonly InputMessage[], options?: InputOptions): Promise<FollowUp> {
    const outcome = this.#gate.decide('followup')
    this.#gate.needAgent()
    const { injector } = this.#attachments
    // No wait without an injector: the inputs and their key must go into one commit.
    if (injector === undefined) this.#state.queue.add('followup', messages, options)
    else for (const message of messages) await injector(message)
    if (outcome === 'start' && injector === undefined) this.#control.startQueued()
    return this.#state.recorder.decided({ streaming: !this.#state.around.isDraining(), duplicate: false })
  }

  /** What waits no more is told when that is committed. */
  async #refuse(id: string): Promise<never> {
    await this.#state.recorder.settled()
    const message = whatBecameOf(this.#settledInput(id))
    throw new Refusal('input_settled', message, { details: [{ path: 'params.input_id', message }] })
  }

  #settledInput(id: string): InputRecord {
    const input = this.#state.around.store.input(this.#state.id, id)
    if (input === undefined) throw new Refusal('unknown_input')
    return input
  }
}

/** For a person. */
function whatBecameOf({ state, run_id, error }: InputRecord): string {
  if (state === 'delivered') return `The input was delivered to the run ${run_id}`
  return state === 'failed' ? `The input has failed: ${error?.message}` : `The input was ${state}`
}
