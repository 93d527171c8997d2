import type { Request } from '../../protocol/protocol.ts'
import type { Question } from '../../runtime/runtime.ts'
import { isSameQuestion } from './same-question.ts'

/** Requests that were answered before whoever asked has asked again: the answer is kept for that. */
export class UnclaimedAnswers {
  #requests: readonly Request[] = []

  /** Keeps a request, if it has an answer. */
  keep(request: Request): void {
    if (request.answer !== undefined) this.#requests = [...this.#requests, request]
  }

  forget(isGone: (request: Request) => boolean): void {
    this.#requests = this.#requests.filter((request) => !isGone(request))
  }

  /**
   * The oldest request that the same run has made with the same question, of these and of those that still wait for an
   * answer. It is kept no longer.
   */
  claim(question: Question, runId: string, waiting: readonly Request[]): Request | undefined {
    const found = [...this.#requests, ...waiting]
      .sort(byId)
      .find((request) => request.run_id === runId && isSameQuestion(request.content, question.content))
    this.forget((request) => request === found)
    return found
  }
}

/** Ids rise with time. */
export function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : 1
}
