import type {
  Decider,
  ElicitationAnswer,
  EventBody,
  ExpiryReason,
  Request,
  RequestState,
  Verdict,
} from '../../protocol/protocol.ts'
import type { Answer, Question } from '../../runtime/runtime.ts'
import type { Recorder } from '../state/recorder.ts'
import {
  type ApprovalAddress,
  approvalMeant,
  elicitationMeant,
  type KnownRequests,
  wantsVerdict,
} from './meant-request.ts'
import { confirmationOf, newRequest, openingsOf } from './new-request.ts'
import { RequestClock } from './request-clock.ts'
import { deadlineAnswers } from './request-deadline.ts'
import { callOf, isAboutRerun } from './same-question.ts'
import { settled } from './settled-request.ts'
import { byId, UnclaimedAnswers } from './unclaimed-answers.ts'

export { callOf } from './same-question.ts'
export { settled } from './settled-request.ts'

/** The run that asks. */
interface Asker {
  readonly id: string
  readonly agent: string
  readonly signal: AbortSignal
}

type AnyAnswer = Verdict | ElicitationAnswer

/** What the questions of one session have to do with others. */
interface Relations {
  /** All requests of the session that are stored, to tell late answers who won. */
  stored(): readonly Request[]
  /** The questions of all sessions that work for one another, these among them: one of theirs is shown at a time. */
  family(): readonly Requests[]
  /** Milliseconds that a question may stay open which says nothing about it itself; 0 or nothing is for ever. */
  usualDeadline(): number | undefined
  /** Is told of what must not happen while nobody waits for an answer. */
  onDefect(error: unknown): void
}

interface Waiting {
  request: Request
  /** Nothing while nobody waits for the answer: whoever asked is gone, and has not asked again. */
  question: Question | undefined
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
  readonly #unclaimed = new UnclaimedAnswers()
  /** Settled, and perhaps not committed yet. */
  #lately: readonly Request[] = []
  readonly #clock: RequestClock

  constructor(sessionId: string, recorder: Recorder, relations: Relations) {
    this.#sessionId = sessionId
    this.#recorder = recorder
    this.#relations = relations
    this.#clock = new RequestClock({
      remind: (id) => this.#remind(id),
      end: (id) => this.#endAtDeadline(id),
      onDefect: (error) => relations.onDefect(error),
    })
  }

  get open(): readonly Request[] {
    return [...this.#waiting.values()].map((waiting) => waiting.request)
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0
  }

  /**
   * Opens a request, or finds the one that the same run has opened for this question in a process before. The answer comes
   * once it is committed; a withdrawn request rejects with the signal's reason.
   */
  async ask<Q extends Question>(question: Q, run: Asker): Promise<Answer<Q>> {
    run.signal.throwIfAborted()
    const answer = await (this.#adopt(question, run) ?? this.#open(question, run).answered.promise)
    await this.#recorder.settled()
    // A request is settled only with an answer of its own kind: `approval`, `elicitation` and their callers see to that.
    return answer as Answer<Q>
  }

  /**
   * Takes up what a run has asked that goes on in this process: open requests wait again, without anybody who waits for
   * them, and those that have an answer keep it until the run asks the same once more; but that a call may run again was
   * said for one time. The rest means nothing here.
   */
  restore(runId: string, requests: readonly Request[]): void {
    const own = requests.filter(({ run_id, id }) => run_id === runId && !this.#waiting.has(id)).sort(byId)
    for (const request of own) {
      if (request.state === 'open') this.#wait(request)
      else if (!isAboutRerun(request.content)) this.#unclaimed.keep(request)
    }
    this.#confirmNext()
  }

  /** Settles those that nobody waits for and nobody will ask again. */
  expireOrphans(reason: ExpiryReason, isGone: (request: Request) => boolean): void {
    this.#unclaimed.forget(isGone)
    for (const waiting of [...this.#waiting.values()]) {
      if (waiting.question !== undefined || !isGone(waiting.request)) continue
      this.#close(waiting, 'expired', 'restart', { reason })
    }
    this.#confirmNext()
  }

  /** Settles what a tool call that has ended has left open: nobody waits for it, and nobody will ask again. */
  endCall(callId: string): void {
    const isOfCall = ({ content }: Request): boolean => callId !== '' && callOf(content) === callId
    this.expireOrphans('asker_gone', isOfCall)
    for (const waiting of [...this.#waiting.values()]) {
      if (waiting.request.content.kind !== 'elicitation' || !isOfCall(waiting.request)) continue
      this.#close(waiting, 'expired', 'restart', { reason: 'asker_gone' })
      waiting.answered.resolve({ action: 'cancel' })
    }
  }

  /**
   * The open approval that an answer means: the one with that request id, or for that tool call, or the one that is
   * confirmed now. Refuses with `unknown_request`, `request_settled` (and who won) or `no_pending_request`.
   */
  approval(address: ApprovalAddress): Request {
    return approvalMeant(address, this.#known)
  }

  /** The open elicitation with that id, which the body has under `key`. */
  elicitation(id: string, key: 'request_id' | 'elicitation_id' = 'request_id'): Request {
    return elicitationMeant(id, key, this.#known)
  }

  /** A request that is open, or was settled not long ago. */
  find(id: string): Request | undefined {
    return this.#waiting.get(id)?.request ?? this.#lately.findLast((request) => request.id === id)
  }

  /** The request that is shown to clients which know no ids. */
  get shown(): Request | undefined {
    return [...this.#waiting.values()].find(({ confirmed }) => confirmed)?.request
  }

  /**
   * Settles an open request, and decides all open approvals again: one that the policy settles now is never shown. Answers
   * with the request as it is settled.
   */
  settle(id: string, answer: AnyAnswer, decider: Decider): Request | undefined {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return undefined
    const request = this.#close(waiting, 'answered', decider, { answer })
    this.redecide()
    return request
  }

  /** Decides all open approvals again: the session's settings may have changed. */
  redecide(): void {
    for (const waiting of [...this.#waiting.values()]) this.#redecide(waiting)
    this.#confirmNext()
  }

  /** Withdraws everything, because the run stops. */
  withdraw(reason: unknown): void {
    this.#unclaimed.forget(() => true)
    for (const waiting of [...this.#waiting.values()]) {
      this.#close(waiting, 'withdrawn', 'stop')
      waiting.answered.promise.catch(() => {})
      waiting.answered.reject(reason)
    }
    this.#confirmNext()
  }

  /** Lets go of what waits without settling it: no deadline passes any more. */
  close(): void {
    this.#clock.close()
  }

  #open(question: Question, run: Asker): Waiting {
    const asker = { session_id: this.#sessionId, run_id: run.id, agent_name: run.agent }
    const request = newRequest(question, asker, this.#relations.usualDeadline())
    const waiting = this.#wait(request, question)
    this.#recorder.save({ kind: 'request.put', request })
    for (const opening of openingsOf(request)) this.#tell(opening, request)
    this.#redecide(waiting)
    this.#confirmNext()
    return waiting
  }

  #wait(request: Request, question?: Question): Waiting {
    const waiting: Waiting = { request, question, answered: Promise.withResolvers(), confirmed: false }
    this.#waiting.set(request.id, waiting)
    this.#clock.watch(request)
    return waiting
  }

  /** The answer to what the same run has asked before and nobody has claimed, oldest first. */
  #adopt(question: Question, run: Asker): Promise<AnyAnswer> | undefined {
    const orphans = [...this.#waiting.values()].filter((waiting) => waiting.question === undefined)
    const requests = orphans.map(({ request }) => request)
    const found = this.#unclaimed.claim(question, run.id, requests)
    if (found === undefined) return undefined
    const waiting = this.#waiting.get(found.id)
    if (waiting === undefined) return found.answer && Promise.resolve(found.answer)
    waiting.question = question
    this.#redecide(waiting)
    this.#confirmNext()
    return waiting.answered.promise
  }

  get #known(): KnownRequests {
    return { open: this.open, shown: this.shown, settled: (matches) => this.#settled(matches) }
  }

  /** One that is stored as open and does not wait here waits below, or was settled there a moment ago. */
  #settled(matches: (request: Request) => boolean): Request | undefined {
    const isSettled = (request: Request): boolean => request.state !== 'open' && matches(request)
    return this.#lately.findLast(matches) ?? this.#relations.stored().findLast(isSettled)
  }

  #redecide({ request, question }: Waiting): void {
    const verdict = question !== undefined && 'decide' in question ? question.decide?.() : undefined
    if (verdict === undefined) return
    const waiting = this.#waiting.get(request.id)
    if (waiting !== undefined) this.#close(waiting, 'answered', 'policy', { answer: verdict })
  }

  #remind(id: string): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined || !this.#recorder.isOpen) return
    waiting.request = { ...waiting.request, reminded_at: new Date().toISOString() }
    const { request } = waiting
    this.#recorder.save({ kind: 'request.put', request })
    this.#tell({ type: 'request_reminder', request }, request)
  }

  #endAtDeadline(id: string): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined || !this.#recorder.isOpen) return
    const answer = deadlineAnswers[waiting.request.on_deadline ?? (wantsVerdict(waiting.request) ? 'deny' : 'decline')]
    this.#close(waiting, 'expired', 'deadline', { answer, reason: 'deadline' })
    this.#confirmNext()
  }

  /** Settles a request; an answer goes to whoever waits for it, or is kept for who will ask again. */
  #close(
    waiting: Waiting,
    state: RequestState,
    decider: Decider,
    more: { readonly answer?: AnyAnswer; readonly reason?: ExpiryReason } = {},
  ): Request {
    this.#waiting.delete(waiting.request.id)
    this.#clock.forget(waiting.request.id)
    const request = settled(waiting.request, state, decider, more)
    this.#lately = [...this.#lately.slice(-63), request]
    if (waiting.question === undefined) this.#unclaimed.keep(request)
    this.#recorder.save({ kind: 'request.put', request })
    this.#tell({ type: 'request_settled', request, decider }, request)
    if (more.answer !== undefined) waiting.answered.resolve(more.answer)
    return request
  }

  /** Shows the oldest request of the family that waits for a verdict, unless one is shown already. */
  #confirmNext(): void {
    const family = this.#relations.family()
    if (family.some(({ shown }) => shown !== undefined)) return
    const [oldest] = family.flatMap((requests) => requests.#unshown).sort(byId)
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
    const confirmation = confirmationOf(request)
    if (confirmation !== undefined) this.#tell(confirmation, request)
  }

  #tell(event: EventBody, { agent_name, run_id }: Request): void {
    this.#recorder.event({ ...event, ...(agent_name === undefined ? {} : { agent_name }) }, run_id)
  }
}
