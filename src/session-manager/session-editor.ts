import { type Message, Refusal, type Summary } from '../protocol/protocol.ts'
import type { Gate } from './inputs/gate.ts'
import type { SessionState } from './state/session-state.ts'

/** Edits the transcript of a session that does not run. */
export class SessionEditor {
  readonly #state: SessionState
  readonly #gate: Gate

  constructor(state: SessionState, gate: Gate) {
    this.#state = state
    this.#gate = gate
  }

  /** Answers the id of the message. */
  async addMessage(message: Message): Promise<string> {
    this.#gate.decide('edit')
    const item = this.#state.addMessage(message)
    return this.#state.recorder.decided(item.id)
  }

  async updateMessage(id: string, message: Message): Promise<void> {
    this.#gate.decide('edit')
    const item = this.#state.transcript.replace(id, message)
    if (item === undefined) throw new Refusal('unknown_message')
    this.#state.recorder.save({ kind: 'item.put', item })
    this.#state.recorder.event({
      type: 'message_updated',
      ...(message.agent_name === '' ? {} : { agent_name: message.agent_name }),
      message_id: id,
      session_position: item.position,
      message: { ...message, id },
    })
    await this.#state.recorder.decided()
  }

  async addSummary(summary: Summary): Promise<void> {
    this.#gate.decide('edit')
    this.#state.add({ kind: 'summary', summary })
    this.#state.recorder.event({ type: 'session_summary', ...summary })
    await this.#state.recorder.decided()
  }
}
