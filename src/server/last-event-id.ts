import type { IncomingHttpHeaders } from 'node:http'
import { parseCursor } from '../protocol/protocol.ts'

/**
 * What the client saw last; null for a header that is no cursor. An `EventSource` that comes back says it in the header and
 * still has the `since` that it began with in its URL, so the header wins.
 */
export function cursorOf(headers: IncomingHttpHeaders, since: number | undefined): number | null | undefined {
  const lastEventId = headers['last-event-id']
  if (lastEventId === undefined) return since
  return parseCursor(String(lastEventId)) ?? null
}
