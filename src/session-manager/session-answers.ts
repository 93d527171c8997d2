import { type ElicitationBody, Refusal, type Request, type ResumeBody } from '../protocol/protocol.ts'
import type { Gate } from './gate.ts'
import { chosenPolicy } from './session-record.ts'
import type { SessionState } from './session-state.ts'

/** Takes the answers of people to the questions of a run, and to those of the tasks that it waits for. */
export class SessionAnswers {
  readonly #state: SessionState
  readonly #gate: Gate

  constructor(state: SessionState, gate: Gate) {
    this.#state = state
    this.#gate = gate
  }

  /** The questions that wait, oldest first. */
  get open(): readonly Request[] {
    return this.#state.tree.flatMap(({ requests }) => requests.open).sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** Answers an approval; what the answer grants beyond this call holds for the session from now on. */
  async resume(answer: ResumeBody): Promise<void> {
    this.#gate.decide('answer')
    const { state, request } = this.#find(({ requests }) => requests.approval(answer))
    const { confirmation, reason, tool_name } = answer
    const top = state.lineage.at(-1) ?? state
    if (request.content.kind === 'approval') {
      // Clients that send every key send an empty name for no name.
      const tool = tool_name || request.content.tool_call.function.name
      // What holds for the session at the top holds for all that work for it.
      if (grant(top, confirmation, tool)) top.sharePolicy()
    }
    state.requests.settle(request.id, { confirmation, reason, tool_name }, 'client')
    for (const other of top.tree) other.requests.redecide()
    await this.#settled(state)
  }

  async elicitation({ action, content, elicitation_id, request_id }: ElicitationBody): Promise<void> {
    this.#gate.decide('answer')
    const id = request_id || elicitation_id || this.#onlyElicitation()
    const { state, request } = this.#find(({ requests }) => requests.elicitation(id))
    state.requests.settle(request.id, { action, content }, 'client')
    await this.#settled(state)
  }

  /** Asks this session, then those that work for it. The refusal is the first that knows more than "there is none". */
  #find(find: (state: SessionState) => Request): { readonly state: SessionState; readonly request: Request } {
    let refusal: unknown
    for (const state of this.#state.tree) {
      try {
        return { state, request: find(state) }
      } catch (failure) {
        if (refusal === undefined || (failure instanceof Refusal && failure.code === 'request_settled')) {
          refusal = failure
        }
      }
    }
    throw refusal
  }

  #onlyElicitation(): string {
    const open = this.open.filter((request) => request.content.kind === 'elicitation')
    const [only] = open
    if (only === undefined) throw new Refusal('no_pending_request')
    if (open.length > 1) {
      throw new Refusal('no_pending_request', `${open.length} elicitations wait: say which one by elicitation_id`)
    }
    return only.id
  }

  async #settled(state: SessionState): Promise<void> {
    await Promise.all(state.lineage.map(({ recorder }) => recorder.settled()))
    await this.#state.recorder.settled()
  }
}

/** Tells whether the answer grants anything beyond its call. */
function grant(state: SessionState, confirmation: ResumeBody['confirmation'], tool: string | undefined): boolean {
  const policy = grantedPolicy[confirmation]
  const { permissions } = state.record
  const allows = confirmation === 'approve-tool' && tool !== undefined && !permissions?.allow?.includes(tool)
  if (policy === undefined && !allows) return false
  if (policy !== undefined) state.update({ ...chosenPolicy(policy), policy_pending: false })
  if (allows) state.update({ permissions: { ...permissions, allow: [...(permissions?.allow ?? []), tool] } })
  state.tellSettings()
  return true
}

const grantedPolicy = {
  approve: undefined,
  'approve-balanced': 'balanced',
  'approve-autonomous': 'autonomous',
  'approve-tool': undefined,
  reject: undefined,
} as const satisfies Record<ResumeBody['confirmation'], string | undefined>
