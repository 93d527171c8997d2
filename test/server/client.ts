import { expect } from 'vitest'
import {
  type Endpoint,
  type EndpointName,
  type ErrorCode,
  EventStream,
  endpoints,
  Problem,
  refusalsOf,
} from '../../src/protocol/protocol.ts'
import { statusOf } from '../../src/server/problem.ts'

export interface Request {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  /** Sent as JSON; text is sent as it is. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly code: ErrorCode | undefined
  readonly headers: Headers
  readonly body: unknown
}

/** One thing that an endpoint may answer: a status of success, or a code. */
export interface Outcome {
  readonly endpoint: EndpointName
  readonly status: number
  readonly code?: ErrorCode | undefined
}

export function nameOf({ endpoint, status, code }: Outcome): string {
  return code === undefined ? `${endpoint} ${status}` : `${endpoint} ${status} ${code}`
}

/** All that the table says an endpoint may answer. */
export function outcomesOf(name: EndpointName): readonly Outcome[] {
  const endpoint: Endpoint = endpoints[name]
  const { method, answers } = endpoint
  return [
    ...Object.keys(answers).map((status) => ({ endpoint: name, status: Number(status) })),
    ...[...refusalsOf(endpoint)].map((code) => ({ endpoint: name, status: statusOf(code, method), code })),
  ]
}

/** Speaks to a server as its table of endpoints says, and fails when an answer is not in that table. */
export class Client {
  readonly url: string
  readonly #headers: Readonly<Record<string, string>>

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.url = url
    this.#headers = headers
  }

  /** Sends a request; the answer is checked and read to its end. */
  async call(name: EndpointName, request: Request = {}): Promise<Answer> {
    const response = await this.open(name, request)
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
    const body: unknown = isJson ? JSON.parse(text) : text
    const code = checkAnswer(name, response.status, body, isJson)
    expect(response.headers.get('cache-control')).toBe(isJson ? 'no-store' : 'no-cache, no-transform')
    expect(response.headers.get('x-request-id')).toMatch(/^[\x21-\x7e]{1,128}$/)
    return { status: response.status, code, headers: response.headers, body }
  }

  /** Sends a request and leaves its body to be read. */
  open(
    name: EndpointName,
    { params, query = {}, body, headers }: Request = {},
    signal?: AbortSignal,
  ): Promise<Response> {
    const { method, path } = endpoints[name]
    const place = path.replaceAll(/:(\w+)/g, (_, key: string) => encodeURIComponent(params?.[key] ?? 'none'))
    const json = body === undefined ? {} : { 'content-type': 'application/json' }
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return fetch(`${this.url}${place}?${new URLSearchParams(query)}`, {
      method,
      headers: { ...json, ...this.#headers, ...headers },
      ...(body === undefined ? {} : { body: text }),
      ...(signal === undefined ? {} : { signal }),
    })
  }
}

function checkAnswer(name: EndpointName, status: number, body: unknown, isJson: boolean): ErrorCode | undefined {
  const endpoint: Endpoint = endpoints[name]
  const schema = endpoint.answers[status]
  if (schema !== undefined) {
    expect(isJson || endpoint.stream === true, 'an answer that is no stream is JSON').toBe(true)
    expect((isJson ? schema : EventStream).parse(body), `${name}: a key that its schema does not know`).toEqual(body)
    return undefined
  }
  const problem = Problem.strict().parse(body)
  expect(problem.error).toBe(problem.message)
  const known = outcomesOf(name).map(nameOf)
  expect(known, 'an answer that the table of endpoints does not know').toContain(
    nameOf({ endpoint: name, status, code: problem.code }),
  )
  return problem.code
}
