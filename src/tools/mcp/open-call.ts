import { AsyncLocalStorage } from 'node:async_hooks'
import type {
  ElicitRequestFormParams,
  ElicitRequestParams,
  ElicitRequestURLParams,
  ElicitResult,
  Progress,
} from '@modelcontextprotocol/client'
import { z } from 'zod'
import type { ElicitationAnswer } from '../../protocol/protocol.ts'
import type { CallContext, RequestHeaders } from '../tools.ts'

/** The call in whose name something happens: set where a request leaves and where its answer comes back. */
export const callScope = new AsyncLocalStorage<OpenCall | undefined>()

/** How much progress one call may tell, in characters. */
const outputLimit = 64 * 1024
/** How large a question may be, in characters of its text and of its schema. */
const questionLimit = 64 * 1024

const FormContent = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))

/** A call that is under way: its limit, its live output, its questions. */
export class OpenCall {
  /** Aborts when the run stops, when the time is over and when the toolset closes. */
  readonly signal: AbortSignal
  readonly #context: CallContext
  readonly #abort = new AbortController()
  #timedOut = false
  #ended = false
  #remainingMs: number
  #armedAt = 0
  #timer: NodeJS.Timeout | undefined
  #questions = 0
  #told = 0

  constructor(context: CallContext, timeoutMs: number) {
    this.#context = context
    this.#remainingMs = timeoutMs
    this.signal = AbortSignal.any([context.signal, this.#abort.signal])
    this.#arm()
  }

  /** Of the API request behind the call, until it ends: what it set in motion may go on for longer. */
  get headers(): RequestHeaders | undefined {
    return this.#ended ? undefined : this.#context.headers
  }

  get timedOut(): boolean {
    return this.#timedOut
  }

  /** Ends the call from our side. */
  abort(reason: Error): void {
    this.#abort.abort(reason)
  }

  /** Frees the timer. */
  end(): void {
    this.#ended = true
    clearTimeout(this.#timer)
  }

  tell({ progress, total, message }: Progress): void {
    if (this.signal.aborted || this.#told > outputLimit) return
    const text = message ?? (total === undefined ? `${progress}` : `${progress}/${total}`)
    const line = `${text.slice(0, outputLimit)}\n`
    this.#told += line.length
    this.#context.output(line)
    if (this.#told > outputLimit) this.#context.output('[more progress is not shown]\n')
  }

  /** Asks a person. The time of the call does not run meanwhile. */
  async elicit(params: ElicitRequestParams): Promise<ElicitResult> {
    const question = readQuestion(params)
    if (question === undefined) return { action: 'decline' }
    this.#pause()
    try {
      return toElicitResult(await this.#context.elicit(question))
    } finally {
      this.#resume()
    }
  }

  #pause(): void {
    this.#questions += 1
    if (this.#questions > 1) return
    clearTimeout(this.#timer)
    this.#remainingMs -= performance.now() - this.#armedAt
  }

  #resume(): void {
    this.#questions -= 1
    if (this.#questions === 0 && !this.signal.aborted) this.#arm()
  }

  #arm(): void {
    this.#armedAt = performance.now()
    if (!Number.isFinite(this.#remainingMs)) return
    this.#timer = setTimeout(
      () => {
        this.#timedOut = true
        this.#abort.abort(new Error('the call took too long'))
      },
      Math.max(0, this.#remainingMs),
    )
  }
}

type Question = Parameters<CallContext['elicit']>[0]

/** `undefined` when the question is nothing that should be put to a person. */
function readQuestion(params: ElicitRequestParams): Question | undefined {
  if (params.message.length > questionLimit) return undefined
  return isUrlQuestion(params) ? readUrlQuestion(params) : readFormQuestion(params)
}

function isUrlQuestion(params: ElicitRequestParams): params is ElicitRequestURLParams {
  return params.mode === 'url'
}

function readUrlQuestion({ message, url, elicitationId }: ElicitRequestURLParams): Question | undefined {
  if (url.length > questionLimit || !/^https?:\/\//i.test(url)) return undefined
  return { message, mode: 'url', url, ...(elicitationId !== undefined && { server_elicitation_id: elicitationId }) }
}

function readFormQuestion({ message, requestedSchema }: ElicitRequestFormParams): Question | undefined {
  if (JSON.stringify(requestedSchema).length > questionLimit) return undefined
  return { message, mode: 'form', schema: requestedSchema }
}

/** An answer that fits no form is none. */
function toElicitResult({ action, content }: ElicitationAnswer): ElicitResult {
  if (action !== 'accept' || !content) return { action }
  const form = FormContent.safeParse(content)
  return form.success ? { action, content: form.data } : { action: 'cancel' }
}
