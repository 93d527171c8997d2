import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { z } from 'zod'
import { must } from './complaint.ts'

/** How a request came out. `unknown`: nobody said, so it may have taken effect. */
export type Outcome = 'accepted' | 'refused' | 'unknown'

export interface Answer {
  readonly outcome: Outcome
  /** 0 when there was no answer. */
  readonly status: number
  readonly text: string
  /** The path of the next page. */
  readonly next?: string | undefined
  /** It says that it was given before. */
  readonly replayed?: boolean
}

export interface Ask {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Milliseconds after which the client breaks the connection. */
  readonly cutAfterMs?: number | undefined
}

const noAnswer: Answer = { outcome: 'unknown', status: 0, text: '' }

/** No answer takes as long, so whatever does is stuck. */
const patienceMs = 120_000

/** Codes of 503 that say that nothing was decided. */
const undecided = /"code":"(shutting_down|starting|overloaded|wait_timeout)"/

/** Speaks to one server, as any number of clients. */
export class Wire {
  readonly #url: string
  readonly #agent = new Agent({ keepAlive: true })
  requests = 0
  unanswered = 0
  /** Answers that were given before. */
  replays = 0

  constructor(url: string) {
    this.#url = url
  }

  async send(method: string, path: string, ask: Ask = {}): Promise<Answer> {
    const response = await this.#request(method, path, ask)
    if (response === undefined) return noAnswer
    return answerOf(response, await textOf(response), `${method} ${path}`)
  }

  /** What a GET answers; complains when it does not answer 200 with that shape. */
  async get<T extends z.ZodType>(path: string, shape: T): Promise<z.infer<T>> {
    const { status, text } = await this.send('GET', path)
    must(status === 200, `GET ${path} answered ${status} ${text}`)
    return shape.parse(JSON.parse(text))
  }

  /** A stream, or the answer when there is none. */
  async open(method: string, path: string, ask: Ask = {}): Promise<IncomingMessage | Answer> {
    const response = await this.#request(method, path, ask)
    if (response === undefined) return noAnswer
    if (response.statusCode === 200) return response
    return answerOf(response, await textOf(response), `${method} ${path}`)
  }

  /** Breaks every connection that is open now. */
  cutAll(): void {
    this.#agent.destroy()
  }

  async #request(method: string, path: string, ask: Ask): Promise<IncomingMessage | undefined> {
    const { body, headers, cutAfterMs } = ask
    this.requests += 1
    const asked = request(`${this.#url}/api${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      agent: this.#agent,
    })
    const late = setTimeout(() => asked.destroy(new Late()), patienceMs)
    const cut = cutAfterMs === undefined ? undefined : setTimeout(() => asked.destroy(), cutAfterMs)
    asked.end(body === undefined ? undefined : JSON.stringify(body))
    const response = await responseTo(asked)
    clearTimeout(late)
    clearTimeout(cut)
    must(!(response instanceof Late), `${method} ${path} was not answered in ${patienceMs} ms`)
    if (response === undefined) this.unanswered += 1
    else if (isReplayed(response.headers)) this.replays += 1
    return response
  }
}

class Late extends Error {}

function responseTo(asked: ClientRequest): Promise<IncomingMessage | Late | undefined> {
  return new Promise((done) => {
    asked.once('response', (response) => {
      // A stream that breaks is read to its break; nobody has to hear of it twice.
      response.on('error', () => {})
      done(response)
    })
    asked.on('error', (error) => done(error instanceof Late ? error : undefined))
    asked.once('close', () => done(undefined))
  })
}

/** The body, or what there is of it: the status line alone is a promise already. */
async function textOf(response: IncomingMessage): Promise<string> {
  let text = ''
  try {
    for await (const chunk of response.setEncoding('utf8')) text += chunk
  } catch {}
  return text
}

function answerOf({ statusCode: status = 0, headers }: IncomingMessage, text: string, what: string): Answer {
  must(status !== 500, `${what} answered 500 ${text}`)
  const next = /^<\/api([^>]+)>; rel="next"$/.exec(String(headers.link))?.[1]
  if (status < 300) return { outcome: 'accepted', status, text, next, replayed: isReplayed(headers) }
  return { outcome: status === 503 && !undecided.test(text) ? 'unknown' : 'refused', status, text }
}

/** Whether an answer was given before. */
export function isReplayed(headers: IncomingMessage['headers']): boolean {
  return headers['idempotency-replayed'] === 'true'
}

/** What an answer says; `undefined` when it says something else, or was cut off. */
export function parsed<T extends z.ZodType>(shape: T, text: string): z.infer<T> | undefined {
  try {
    return shape.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

export function isAnswer(value: IncomingMessage | Answer): value is Answer {
  return 'outcome' in value
}
