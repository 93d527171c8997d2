import type { InputKind, InputMessage, QueueState } from '../protocol/protocol.ts'
import type { FollowUp } from './answers.ts'
import type { Attachments } from './attachments.ts'
import type { Gate } from './gate.ts'
import type { RunControl } from './run-control.ts'
import type { SessionState } from './session-state.ts'

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

  async steer(messages: readonly InputMessage[]): Promise<void> {
    this.#gate.decide('steer')
    this.#gate.needAgent()
    this.#enqueue('steer', messages)
    await this.#state.recorder.decided()
  }

  /** Says what the session itself has to say: to the run that goes on, or in a run of its own unless a budget has paused it. */
  async recall(content: string): Promise<void> {
    const isIdle = this.#gate.decide('followup') === 'start'
    this.#enqueue(isIdle ? 'followup' : 'steer', [{ content }])
    if (isIdle && this.#state.record.paused === undefined) this.#control.startQueued()
    await this.#state.recorder.settled()
  }

  /** Tells whether a run takes it. */
  async followUp(messages: readonly InputMessage[]): Promise<FollowUp> {
    const outcome = this.#gate.decide('followup')
    this.#gate.needAgent()
    const { injector } = this.#attachments
    // No wait without an injector: the inputs and their key must go into one commit.
    if (injector === undefined) this.#enqueue('followup', messages)
    else for (const message of messages) await injector(message)
    if (outcome === 'start' && injector === undefined) this.#control.startQueued()
    return this.#state.recorder.decided({ streaming: !this.#state.around.isDraining(), duplicate: false })
  }

  #enqueue(kind: InputKind, messages: readonly InputMessage[]): void {
    for (const input of this.#state.queue.add(kind, messages)) this.#state.recorder.save({ kind: 'input.put', input })
  }
}
