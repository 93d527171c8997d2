import type { FetchLike } from '@modelcontextprotocol/client'
import type { RequestHeaders } from '../tools.ts'
import { headersToSend } from '../variables.ts'
import { describeFailure } from './failures.ts'
import type { Loss } from './loss.ts'
import { limitMessages } from './message-bytes.ts'
import { callScope } from './open-call.ts'
import { patientFetch } from './patient-fetch.ts'

/**
 * A fetch for one server: adds the configured headers, with those of the API request behind the call; notices when the
 * server is gone; lets no message grow without end.
 */
export function createRemoteFetch(
  configured: Readonly<Record<string, string>>,
  incoming: () => RequestHeaders,
  onLost: (loss: Loss) => void,
): FetchLike {
  return async (url, init = {}) => {
    // Asked for each request, in whose name it is sent: a connection may outlive the run that opened it.
    const own = headersToSend(configured, callScope.getStore()?.headers ?? incoming())
    const sent = withHeaders(new Headers(init.headers), own)
    const response = await patientFetch(url, { ...init, headers: sent }).catch((error: unknown) => {
      if (!init.signal?.aborted) onLost({ reason: describeFailure(error), clean: false })
      throw error
    })
    // A server that does not know the session any more wants a new one.
    if (response.status === 404 && sent.has('mcp-session-id')) onLost({ reason: 'forgot the session', clean: false })
    return limited(response, onLost)
  }
}

/** What the protocol says itself stays as it is. */
function withHeaders(sent: Headers, own: Readonly<Record<string, string>>): Headers {
  for (const [name, value] of Object.entries(own)) if (!sent.has(name)) sent.set(name, value)
  return sent
}

function limited(response: Response, onLost: (loss: Loss) => void): Response {
  if (!response.body) return response
  const events = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false
  const limit = limitMessages(events, ({ message }) => onLost({ reason: message, clean: false }))
  const { status, statusText, headers } = response
  return new Response(response.body.pipeThrough(limit), { status, statusText, headers })
}
