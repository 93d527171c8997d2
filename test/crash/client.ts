import type { z } from 'zod'

/** How a request came out. `unknown`: the connection broke, or the server cannot say (503); it may have taken effect. */
export type Outcome = 'accepted' | 'refused' | 'unknown'

export interface Answer {
  readonly outcome: Outcome
  /** 0 when there was no answer. */
  readonly status: number
  readonly text: string
}

/** What a request amounts to that got no answer. */
export const noAnswer: Answer = { outcome: 'unknown', status: 0, text: '' }

/** What a request amounts to that was answered with a stream. */
export const streamed: Answer = { outcome: 'accepted', status: 200, text: '' }

/** A request before it is sent. */
export interface Asked {
  readonly method: string
  readonly path: string
  readonly body: unknown
  /** The idempotency key. */
  readonly key?: string | undefined
}

/** Speaks to one process over HTTP. Paths are below `/api/sessions`, but for `/events`, which is about all of them. */
export class Client {
  readonly #url: string
  readonly #label: (asked: Asked) => string | undefined
  requests = 0
  /** Requests that got no answer. */
  unanswered = 0

  /** `label` chooses the `X-Request-Id` of a request that is about to be sent. */
  constructor(url: string, label: (asked: Asked) => string | undefined = () => undefined) {
    this.#url = url
    this.#label = label
  }

  async send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await this.#fetch(method, path, body, headers)
    if (response === undefined) return noAnswer
    const { status } = response
    // The status line alone is a promise already, also when the body is cut off.
    const text = await response.text().catch(() => '')
    return { outcome: outcomeOf(status), status, text }
  }

  /** What a GET answers; throws when it does not answer 200 with that shape. */
  async get<T extends z.ZodType>(path: string, shape: T): Promise<z.infer<T>> {
    const { status, text } = await this.send('GET', path)
    if (status !== 200) throw new Error(`GET ${path} answered ${status} ${text}`)
    return shape.parse(JSON.parse(text))
  }

  /** A stream of events; an answer when it was refused, and nothing when there was none. */
  async stream(
    method: string,
    path: string,
    { body, headers = {} }: { readonly body?: unknown; readonly headers?: Record<string, string> } = {},
  ): Promise<AsyncIterable<Uint8Array> | Answer> {
    const response = await this.#fetch(method, path, body, headers)
    if (response === undefined) return noAnswer
    if (response.status === 200 && response.body !== null) return response.body
    return { outcome: outcomeOf(response.status), status: response.status, text: await response.text().catch(() => '') }
  }

  async #fetch(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<Response | undefined> {
    const json = body === undefined ? {} : { 'content-type': 'application/json' }
    const label = this.#label({ method, path, body, key: headers['idempotency-key'] })
    const init = {
      method,
      headers: { ...json, ...(label === undefined ? {} : { 'x-request-id': label }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }
    this.requests += 1
    const response = await fetch(`${this.#url}/api${path.startsWith('/events') ? '' : '/sessions'}${path}`, init).catch(
      () => undefined,
    )
    if (response === undefined) this.unanswered += 1
    // 500 is a defect of the server, and 400 one of this client: what is malformed tests nothing.
    if (response?.status === 500 || response?.status === 400) {
      throw new Error(`${method} ${path} answered ${response.status} ${await response.text()}`)
    }
    return response
  }
}

export function isAnswer(value: AsyncIterable<Uint8Array> | Answer): value is Answer {
  return 'outcome' in value
}

export function outcomeOf(status: number): Outcome {
  if (status < 300) return 'accepted'
  return status === 503 ? 'unknown' : 'refused'
}
