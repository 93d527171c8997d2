import type { ElicitationBody, Request, ResumeBody } from '../protocol/protocol.ts'
import type { Gate } from './gate.ts'
import { chosenPolicy } from './session-record.ts'
import type { SessionState } from './session-state.ts'

/** Takes the answers of people to the questions of a run. */
export class SessionAnswers {
  readonly #state: SessionState
  readonly #gate: Gate

  constructor(state: SessionState, gate: Gate) {
    this.#state = state
    this.#gate = gate
  }

  /** The questions that wait, oldest first. */
  get open(): readonly Request[] {
    return this.#state.requests.open
  }

  /** Answers an approval; what the answer grants beyond this call holds for the session from now on. */
  async resume(answer: ResumeBody): Promise<void> {
    this.#gate.decide('answer')
    const { requests } = this.#state
    const request = requests.approval(answer)
    const { confirmation, reason, tool_name } = answer
    if (request.content.kind === 'approval') {
      // Clients that send every key send an empty name for no name.
      this.#grant(confirmation, tool_name || request.content.tool_call.function.name)
    }
    requests.settle(request.id, { confirmation, reason, tool_name }, 'client')
    await this.#state.recorder.settled()
  }

  async elicitation({ action, content, elicitation_id, request_id }: ElicitationBody): Promise<void> {
    this.#gate.decide('answer')
    const request = this.#state.requests.elicitation(request_id || elicitation_id || undefined)
    this.#state.requests.settle(request.id, { action, content }, 'client')
    await this.#state.recorder.settled()
  }

  #grant(confirmation: ResumeBody['confirmation'], tool: string | undefined): void {
    const policy = grantedPolicy[confirmation]
    const { permissions } = this.#state.record
    const allows = confirmation === 'approve-tool' && tool !== undefined && !permissions?.allow?.includes(tool)
    if (policy === undefined && !allows) return
    if (policy !== undefined) this.#state.update({ ...chosenPolicy(policy), policy_pending: false })
    if (allows) this.#state.update({ permissions: { ...permissions, allow: [...(permissions?.allow ?? []), tool] } })
    this.#state.tellSettings()
  }
}

const grantedPolicy = {
  approve: undefined,
  'approve-balanced': 'balanced',
  'approve-autonomous': 'autonomous',
  'approve-tool': undefined,
  reject: undefined,
} as const satisfies Record<ResumeBody['confirmation'], string | undefined>
