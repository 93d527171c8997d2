import { parseCursor } from '../../protocol/protocol.ts'
import type { SessionManager } from '../../session-manager/session-manager.ts'
import { prefersJson } from '../accept.ts'
import { readEventPage } from '../event-page.ts'
import type { Handlers } from '../route.ts'
import { EventStreamBody } from '../sse.ts'

export const eventRoutes = (manager: SessionManager) =>
  ({
    getEvents: async ({ params, query, headers, signal }) => {
      const since = cursorOf(headers['last-event-id'], query.since)
      const { types, follow } = query
      if (prefersJson(headers.accept)) return readEventPage(manager, params.id, { ...query, since, signal })
      return new EventStreamBody(await manager.streamEvents(params.id, { since, types, follow, signal }))
    },
  }) satisfies Partial<Handlers>

/**
 * What the client saw last; null for a header that is no cursor. An `EventSource` that comes back says it in the header and
 * still has the `since` that it began with in its URL, so the header wins.
 */
function cursorOf(lastEventId: string | string[] | undefined, since: number | undefined): number | null | undefined {
  if (lastEventId === undefined) return since
  return parseCursor(String(lastEventId)) ?? null
}
