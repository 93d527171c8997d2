import type { FetchLike } from '@modelcontextprotocol/client'
import { expandHeaders } from '../variables.ts'
import { describeFailure } from './failures.ts'
import type { Loss } from './loss.ts'
import { limitMessages } from './message-bytes.ts'
import { callScope } from './open-call.ts'

/**
 * A fetch for one server: adds the configured headers, with those of the API request behind the call; notices when the
 * server is gone; lets no message grow without end.
 */
export function createRemoteFetch(headers: Readonly<Record<string, string>>, onLost: (loss: Loss) => void): FetchLike {
  return async (url, init = {}) => {
    const sent = withHeaders(new Headers(init.headers), headers)
    const response = await fetch(url, { ...init, headers: sent }).catch((error: unknown) => {
      if (!init.signal?.aborted) onLost({ reason: describeFailure(error), clean: false })
      throw error
    })
    // A server that does not know the session any more wants a new one.
    if (response.status === 404 && sent.has('mcp-session-id')) onLost({ reason: 'forgot the session', clean: false })
    return limited(response, onLost)
  }
}

/** A header that names the API request is left out where there is none, as in the first words with the server. */
function withHeaders(sent: Headers, configured: Readonly<Record<string, string>>): Headers {
  const call = callScope.getStore()
  for (const [name, text] of Object.entries(configured)) {
    if (sent.has(name) || (call === undefined && /\$\{headers\./i.test(text))) continue
    const value = expandHeaders(text, call?.headers ?? {}).trim()
    if (value !== '') sent.set(name, value)
  }
  return sent
}

function limited(response: Response, onLost: (loss: Loss) => void): Response {
  if (!response.body) return response
  const events = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false
  const limit = limitMessages(events, ({ message }) => onLost({ reason: message, clean: false }))
  const { status, statusText, headers } = response
  return new Response(response.body.pipeThrough(limit), { status, statusText, headers })
}
