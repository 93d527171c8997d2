import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { z } from 'zod'

/** What a visitor looks at in an event. */
const Event = z.looseObject({ type: z.string(), request_id: z.string().optional() })
export type Event = z.infer<typeof Event>

/** No answer and no stream of a soak takes as long, so whatever does is stuck. */
const patienceMs = 120_000

export interface Answer {
  readonly status: number
  readonly text: string
}

/**
 * One client with connections of its own, which are gone when it is closed. Paths are below `/api/sessions`, but for
 * `/events`, which is about all of them.
 */
export class Wire {
  readonly #url: string
  readonly #agent = new Agent({ keepAlive: true })

  constructor(url: string) {
    this.#url = url
  }

  /** Throws for what no client may ever see: 500, any 503, and 400, which is a defect of this one. */
  async send(method: string, path: string, body?: unknown, key?: string): Promise<Answer> {
    const response = await this.#request(method, path, body, key)
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += chunk
    const status = response.statusCode ?? 0
    if (status >= 500 || status === 400) throw new Error(`${method} ${path} answered ${status} ${text}`)
    return { status, text }
  }

  /** The events of a stream, until it ends or whoever reads leaves. None when it was refused. */
  async *events(method: string, path: string, body?: unknown): AsyncGenerator<Event, void, void> {
    const response = await this.#request(method, path, body)
    try {
      let rest = ''
      for await (const chunk of response.setEncoding('utf8')) {
        const frames = `${rest}${chunk}`.split('\n\n')
        rest = frames.pop() ?? ''
        for (const frame of frames) {
          const data = /^data: (.*)$/m.exec(frame)?.[1]
          if (data !== undefined && response.statusCode === 200) yield Event.parse(JSON.parse(data))
        }
      }
    } finally {
      response.destroy()
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  async #request(method: string, path: string, body: unknown, key?: string): Promise<IncomingMessage> {
    const headers = {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    }
    const asked = request(`${this.#url}/api${path.startsWith('/events') ? '' : '/sessions'}${path}`, {
      method,
      headers,
      agent: this.#agent,
      signal: AbortSignal.timeout(patienceMs),
    })
    asked.end(body === undefined ? undefined : JSON.stringify(body))
    const [response] = await once(asked, 'response')
    return response
  }
}
