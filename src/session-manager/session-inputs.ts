import type { InputKind, InputMessage, QueueState } from '../protocol/protocol.ts'
import type { FollowUp } from './answers.ts'
import type { Attachments } from './attachments.ts'
import type { Gate } from './gate.ts'
import { IdempotencyKeys } from './idempotency.ts'
import type { RunControl } from './run-control.ts'
import type { SessionState } from './session-state.ts'

/** Takes what is said to a session while it works. A list is taken whole or refused whole. */
export class SessionInputs {
  readonly #state: SessionState
  readonly #gate: Gate
  readonly #control: RunControl
  readonly #attachments: Attachments
  readonly #keys: IdempotencyKeys

  constructor(state: SessionState, gate: Gate, control: RunControl, attachments: Attachments) {
    this.#state = state
    this.#gate = gate
    this.#control = control
    this.#attachments = attachments
    this.#keys = new IdempotencyKeys(`followup ${state.id}`, state.around.store)
  }

  get queue(): QueueState {
    this.#gate.needAgent()
    return this.#state.queue.state
  }

  async steer(messages: readonly InputMessage[]): Promise<void> {
    this.#gate.decide('steer')
    this.#gate.needAgent()
    this.#enqueue('steer', messages)
    await this.#state.recorder.settled()
  }

  /** Says what the session itself has to say: to the run that goes on, or in a run of its own unless a budget has paused it. */
  async recall(content: string): Promise<void> {
    const isIdle = this.#gate.decide('followup') === 'start'
    this.#enqueue(isIdle ? 'followup' : 'steer', [{ content }])
    if (isIdle && this.#state.record.paused === undefined) this.#control.startQueued()
    await this.#state.recorder.settled()
  }

  /** Tells whether a run takes it, and whether the key was used before. A delivery that fails frees its key. */
  async followUp(messages: readonly InputMessage[], key: string | undefined): Promise<FollowUp> {
    if (key === undefined) return this.#accept(messages, undefined)
    const answer = await this.#keys.once(key, () => this.#accept(messages, key))
    return answer ?? { streaming: false, duplicate: true }
  }

  async #accept(messages: readonly InputMessage[], key: string | undefined): Promise<FollowUp> {
    const outcome = this.#gate.decide('followup')
    this.#gate.needAgent()
    const { injector } = this.#attachments
    // No wait without an injector: the inputs and their key must go into one commit.
    if (injector === undefined) this.#enqueue('followup', messages)
    else for (const message of messages) await injector(message)
    this.#keepKey(key, messages)
    if (outcome === 'start' && injector === undefined) this.#control.startQueued()
    await this.#state.recorder.settled()
    return { streaming: !this.#state.around.isDraining(), duplicate: false }
  }

  #enqueue(kind: InputKind, messages: readonly InputMessage[]): void {
    for (const input of this.#state.queue.add(kind, messages)) this.#state.recorder.save({ kind: 'input.put', input })
  }

  #keepKey(key: string | undefined, messages: readonly InputMessage[]): void {
    if (key === undefined) return
    const answer = { status: 202, body: { status: 'queued_streaming', duplicate: false } }
    this.#state.recorder.save({ kind: 'key.put', key: this.#keys.record(key, messages, answer) })
  }
}
