import { z } from 'zod'

/** An event as the ancestor's client decodes it. */
export interface AncestorEvent {
  readonly type: string
  readonly [key: string]: unknown
}

export interface AncestorAnswer {
  readonly status: number
  readonly body: unknown
}

/** The types that the ancestor's client knows; it passes over others. */
const known = new Set(
  `user_message stream_started stream_stopped agent_choice agent_choice_reasoning partial_tool_call tool_call
  tool_call_confirmation tool_call_output tool_call_response token_usage session_title session_summary session_compaction
  agent_info team_info toolset_info agent_switching warning error elicitation_request authorization_event message_added`
    .split(/\s+/)
    .filter(Boolean),
)

const longestLine = 16 * 1024 * 1024

const Typed = z.looseObject({ type: z.string() })
const ErrorBody = z.looseObject({ error: z.string().min(1), message: z.string().min(1) })

/** A session as the ancestor's client sends it when it creates one: a struct, so every key is there. */
const zeroSession = {
  id: '',
  title: '',
  messages: null,
  created_at: '0001-01-01T00:00:00Z',
  tools_approved: false,
  hide_tool_results: false,
  SendUserMessage: false,
  max_iterations: 0,
  starred: false,
  input_tokens: 0,
  output_tokens: 0,
  cost: 0,
}

/** Speaks to a server as the ancestor's own client does: its bodies, its headers, and its way to read streams. */
export class AncestorClient {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  createSession(chosen: {
    readonly tools_approved?: boolean
    readonly safety_policy?: string
  }): Promise<AncestorAnswer> {
    return this.call('POST', '/api/sessions', { ...zeroSession, ...chosen })
  }

  /** A status of 400 or more is an error, whose text it looks for under `error`. */
  async call(method: string, path: string, body?: object): Promise<AncestorAnswer> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const answer = { status: response.status, body: JSON.parse(text) as unknown }
    if (response.status >= 400) ErrorBody.parse(answer.body)
    return answer
  }

  /** Runs an agent and yields events until the body ends. */
  async *run(
    id: string,
    agent: string,
    body: unknown,
    signal?: AbortSignal,
  ): AsyncGenerator<AncestorEvent, void, void> {
    const response = await fetch(`${this.#url}/api/sessions/${id}/agent/${agent}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', 'cache-control': 'no-cache' },
      body: JSON.stringify(body),
      ...(signal && { signal }),
    })
    if (response.status >= 400) throw new Error(ErrorBody.parse(await response.json()).error)
    let rest = ''
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) yield* eventIn(line)
    }
  }
}

/** Knows one line per event, and only `data: ` with its space. */
function eventIn(line: string): readonly AncestorEvent[] {
  if (line.length > longestLine) throw new Error('the line is too long')
  if (line === '' || line.startsWith(':') || !line.startsWith('data: ')) return []
  const event = Typed.parse(JSON.parse(line.slice('data: '.length)))
  return known.has(event.type) ? [event] : []
}
