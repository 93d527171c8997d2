import {
  type AnswerBody,
  type ElicitationAnswer,
  type ElicitationBody,
  Refusal,
  type Request,
  type ResumeBody,
  type Verdict,
} from '../../protocol/protocol.ts'
import type { Gate } from '../inputs/gate.ts'
import { chosenPolicy } from '../state/session-record.ts'
import type { SessionState } from '../state/session-state.ts'
import { answerFor } from './answer-for.ts'
import { type ElicitationCheck, elicitationCheck } from './elicitation-check.ts'
import { settledRefusal } from './settled-request.ts'

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
    return this.#state.family.tree.flatMap(({ requests }) => requests.open).sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** A request of this session or of any below it, as it stands. Refuses with `unknown_request`. */
  find(id: string): Request {
    const { around, id: sessionId, family } = this.#state
    const known = family.tree.map(({ requests }) => requests.find(id)).find((request) => request !== undefined)
    const request = known ?? around.store.request(sessionId, id)
    if (request === undefined) throw new Refusal('unknown_request')
    return request
  }

  /** Answers a request of any kind; resolves with the request as it is settled. */
  async answer(id: string, body: AnswerBody): Promise<Request> {
    const check = await elicitationCheck(body)
    this.#gate.decide('answer')
    const below = this.#below(id)
    if (below !== undefined) return below.answer(id, body)
    const request = this.find(id)
    const state = this.#state.family.tree.find(({ requests }) => requests.find(id)?.state === 'open')
    if (state === undefined) {
      if (request.state === 'open') throw new Refusal('request_settled', 'Nobody waits for an answer any more')
      throw settledRefusal(request, 'params.request_id')
    }
    const answer = answerFor(request, body)
    const settled = 'action' in answer ? accept(state, request, answer, check) : rule(state, request, answer)
    return this.#decided(state, settled)
  }

  /** Answers an approval; what the answer grants beyond this call holds for the session from now on. */
  async resume(body: ResumeBody): Promise<void> {
    this.#gate.decide('answer')
    const below = this.#below(body.request_id)
    if (below !== undefined) return below.resume(body)
    const { confirmation, reason, tool_name, ...address } = body
    const { state, request } = this.#find(({ requests }) => requests.approval(address))
    rule(state, request, { confirmation, reason, tool_name })
    await this.#decided(state, undefined)
  }

  async elicitation(body: ElicitationBody): Promise<void> {
    const check = await elicitationCheck(body)
    this.#gate.decide('answer')
    const { action, content, elicitation_id, request_id } = body
    const id = request_id || elicitation_id || this.#onlyElicitation()
    const below = this.#below(id)
    if (below !== undefined) return below.elicitation(body)
    const key = request_id ? 'request_id' : 'elicitation_id'
    const { state, request } = this.#find(({ requests }) => requests.elicitation(id, key))
    accept(state, request, { action, content }, check)
    await this.#decided(state, undefined)
  }

  /** Whoever takes the answer to a request of a session below that works for nobody now: people run those of tasks too. */
  #below(id: string | undefined): SessionAnswers | undefined {
    const { around, id: sessionId, family } = this.#state
    if (id === undefined || family.tree.some(({ requests }) => requests.find(id) !== undefined)) return undefined
    const stored = around.store.request(sessionId, id)
    if (stored?.state !== 'open' || stored.session_id === sessionId) return undefined
    return around.find(stored.session_id)?.answers
  }

  /** Asks this session, then those that work for it. The refusal is the first that knows more than "there is none". */
  #find(find: (state: SessionState) => Request): { readonly state: SessionState; readonly request: Request } {
    let refusal: unknown
    for (const state of this.#state.family.tree) {
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

  async #decided<T>(state: SessionState, outcome: T): Promise<T> {
    await state.recorder.decided(outcome)
    await Promise.all(state.family.lineage.map(({ recorder }) => recorder.settled()))
    await this.#state.recorder.settled()
    return outcome
  }
}

/** Settles what asks for a verdict, in the breath in which it was found open. */
function rule(state: SessionState, request: Request, verdict: Verdict): Request {
  const { top } = state.family
  if (request.content.kind === 'approval') {
    // Clients that send every key send an empty name for no name.
    const tool = verdict.tool_name || request.content.tool_call.function.name
    // What holds for the session at the top holds for all that work for it.
    if (grant(top, verdict.confirmation, tool)) top.family.shareSettings()
  }
  const settled = state.requests.settle(request.id, verdict, 'client') ?? request
  for (const other of top.family.tree) other.requests.redecide()
  return settled
}

/** Settles an elicitation, unless the content is not what it asks for. */
function accept(
  state: SessionState,
  request: Request,
  { action, content: entered }: ElicitationAnswer,
  check: ElicitationCheck,
): Request {
  const { content } = request
  // Who does not accept has entered nothing, whatever the client still has in its form.
  const answer: ElicitationAnswer = action === 'accept' ? { action, content: entered } : { action }
  const details = content.kind === 'elicitation' ? check(content, answer) : []
  if (details.length > 0) {
    const sentences = details.map(({ path, message }) => `${path}: ${message}`)
    throw new Refusal('invalid_request', sentences.join('; '), { details })
  }
  return state.requests.settle(request.id, answer, 'client') ?? request
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
