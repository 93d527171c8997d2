import {
  type Decider,
  type ElicitationAnswer,
  type EventBody,
  newId,
  Refusal,
  type Request,
  type RequestState,
  type Verdict,
} from '../protocol/protocol.ts'
import type { Answer, Question } from '../runtime/runtime.ts'
import type { Recorder } from './recorder.ts'

/** Which approval an answer means. Nothing: the one that is confirmed now. */
export interface ApprovalAddress {
  readonly request_id?: string | undefined
  readonly tool_call_id?: string | undefined
}

type AnyAnswer = Verdict | ElicitationAnswer

/** What the questions of one session have to do with others. */
interface Relations {
  /** All requests of the session that are stored, to tell late answers who won. */
  stored(): readonly Request[]
  /** The questions of all sessions that work for one another, these among them: one of theirs is shown at a time. */
  family(): readonly Requests[]
}

interface Waiting {
  request: Request
  readonly question: Question
  readonly answered: PromiseWithResolvers<AnyAnswer>
  /** The event that asks for a verdict has been told. */
  confirmed: boolean
}

/**
 * The questions that the run of one session has put and that nobody has answered. All are open at once; a client that
 * knows no ids is shown one approval at a time, and answers that one.
 */
export class Requests {
  readonly #sessionId: string
  readonly #recorder: Recorder
  readonly #relations: Relations
  readonly #waiting = new Map<string, Waiting>()
  /** Settled, and perhaps not committed yet. */
  #lately: readonly Request[] = []

  constructor(sessionId: string, recorder: Recorder, relations: Relations) {
    this.#sessionId = sessionId
    this.#recorder = recorder
    this.#relations = relations
  }

  get open(): readonly Request[] {
    return [...this.#waiting.values()].map((waiting) => waiting.request)
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0
  }

  /** Opens a request. The answer comes once it is committed; a withdrawn request rejects with the signal's reason. */
  async ask<Q extends Question>(
    question: Q,
    run: { readonly id: string; readonly agent: string; readonly signal: AbortSignal },
  ): Promise<Answer<Q>> {
    run.signal.throwIfAborted()
    const request: Request = {
      id: newId(),
      session_id: this.#sessionId,
      run_id: run.id,
      agent_name: run.agent,
      state: 'open',
      created_at: new Date().toISOString(),
      content: question.content,
    }
    const waiting: Waiting = { request, question, answered: Promise.withResolvers(), confirmed: false }
    this.#waiting.set(request.id, waiting)
    this.#recorder.save({ kind: 'request.put', request })
    this.#tell({ type: 'request_opened', request }, request)
    if (question.content.kind === 'elicitation') {
      const { kind: _, ...content } = question.content
      this.#tell({ type: 'elicitation_request', ...content, elicitation_id: request.id }, request)
    }
    this.#redecide(waiting)
    this.#confirmNext()
    const answer = await waiting.answered.promise
    await this.#recorder.settled()
    // A request is settled only with an answer of its own kind: `approval` and `elicitation` see to that.
    return answer as Answer<Q>
  }

  /**
   * The open approval that an answer means: the one with that request id, or for that tool call, or the one that is
   * confirmed now. Refuses with `unknown_request`, `request_settled` (and who won) or `no_pending_request`.
   */
  approval({ request_id, tool_call_id }: ApprovalAddress): Request {
    if (request_id !== undefined) return this.#byId(request_id, wantsVerdict)
    if (tool_call_id !== undefined) return this.#byToolCall(tool_call_id)
    const { shown } = this
    if (shown === undefined) throw new Refusal('no_pending_request')
    return shown
  }

  /** The open elicitation with that id. */
  elicitation(id: string): Request {
    return this.#byId(id, (request) => !wantsVerdict(request))
  }

  /** The request that is shown to clients which know no ids. */
  get shown(): Request | undefined {
    return [...this.#waiting.values()].find(({ confirmed }) => confirmed)?.request
  }

  /** Settles an open request, and decides all open approvals again: one that the policy settles now is never shown. */
  settle(id: string, answer: AnyAnswer, decider: Decider): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    this.#close(waiting, 'answered', decider, answer)
    waiting.answered.resolve(answer)
    this.redecide()
  }

  /** Decides all open approvals again: the session's settings may have changed. */
  redecide(): void {
    for (const waiting of [...this.#waiting.values()]) this.#redecide(waiting)
    this.#confirmNext()
  }

  /** Withdraws everything, because the run stops. */
  withdraw(reason: unknown): void {
    for (const waiting of [...this.#waiting.values()]) {
      this.#close(waiting, 'withdrawn', 'stop')
      waiting.answered.promise.catch(() => {})
      waiting.answered.reject(reason)
    }
    this.#confirmNext()
  }

  #byId(id: string, isMeant: (request: Request) => boolean): Request {
    const request = this.#waiting.get(id)?.request ?? this.#settled((candidate) => candidate.id === id)
    if (request === undefined || !isMeant(request)) throw new Refusal('unknown_request')
    return this.#stillOpen(request)
  }

  #byToolCall(id: string): Request {
    const isFor = ({ content }: Request): boolean => content.kind === 'approval' && content.tool_call.id === id
    const request = this.open.find(isFor) ?? this.#settled(isFor)
    if (request === undefined) throw new Refusal('no_pending_request')
    return this.#stillOpen(request)
  }

  #settled(matches: (request: Request) => boolean): Request | undefined {
    return this.#lately.findLast(matches) ?? this.#relations.stored().findLast(matches)
  }

  #stillOpen(request: Request): Request {
    if (request.state === 'open') return request
    const by = request.decider ?? 'nobody'
    throw new Refusal('request_settled', `The request is settled already: ${request.state} by ${by}`, {
      details: [{ path: 'body.request_id', message: `${request.state} by ${by} at ${request.settled_at ?? '?'}` }],
    })
  }

  #redecide({ request, question }: Waiting): void {
    const verdict = 'decide' in question ? question.decide?.() : undefined
    if (verdict === undefined) return
    const waiting = this.#waiting.get(request.id)
    if (waiting === undefined) return
    this.#close(waiting, 'answered', 'policy', verdict)
    waiting.answered.resolve(verdict)
  }

  #close(waiting: Waiting, state: RequestState, decider: Decider, answer?: AnyAnswer): void {
    this.#waiting.delete(waiting.request.id)
    const request = settled(waiting.request, state, decider, answer)
    this.#lately = [...this.#lately.slice(-63), request]
    this.#recorder.save({ kind: 'request.put', request })
    this.#tell({ type: 'request_settled', request, decider }, request)
  }

  /** Shows the oldest request of the family that waits for a verdict, unless one is shown already. */
  #confirmNext(): void {
    const family = this.#relations.family()
    if (family.some(({ shown }) => shown !== undefined)) return
    const [oldest] = family.flatMap((requests) => requests.#unshown).sort((a, b) => (a.id < b.id ? -1 : 1))
    oldest?.confirm()
  }

  /** The oldest request that waits for a verdict, and what shows it. */
  get #unshown(): readonly { readonly id: string; confirm(): void }[] {
    const oldest = [...this.#waiting.values()].find(({ request }) => wantsVerdict(request))
    return oldest === undefined ? [] : [{ id: oldest.request.id, confirm: () => this.#confirm(oldest) }]
  }

  #confirm(waiting: Waiting): void {
    waiting.confirmed = true
    const { request } = waiting
    const { content, id: request_id } = request
    if (content.kind === 'approval') {
      const { kind: _, ...call } = content
      this.#tell({ type: 'tool_call_confirmation', ...call, request_id }, request)
    } else if (content.kind === 'continuation') {
      const { max_iterations } = content
      this.#tell({ type: 'max_iterations_reached', max_iterations, request_id }, request)
    }
  }

  #tell(event: EventBody, { agent_name, run_id }: Request): void {
    this.#recorder.event({ ...event, ...(agent_name === undefined ? {} : { agent_name }) }, run_id)
  }
}

/** It is answered by a verdict, as everything but an elicitation is. */
function wantsVerdict({ content }: Request): boolean {
  return content.kind !== 'elicitation'
}

/** A request as it stands after it was settled. */
export function settled(request: Request, state: RequestState, decider: Decider, answer?: AnyAnswer): Request {
  return {
    ...request,
    state,
    decider,
    settled_at: new Date().toISOString(),
    ...(answer === undefined ? {} : { answer }),
  }
}
