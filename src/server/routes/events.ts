import { parseCursor } from '../../protocol/protocol.ts'
import type { SessionManager } from '../../session-manager/session-manager.ts'
import { prefersJson } from '../accept.ts'
import { readEventPage } from '../event-page.ts'
import type { Handlers } from '../route.ts'
import { EventStreamBody } from '../sse.ts'

export const eventRoutes = (manager: SessionManager) =>
  ({
    getEvents: async ({ params, query, headers, signal }) => {
      const since = query.since ?? cursorOf(headers['last-event-id'])
      const { types, follow } = query
      if (prefersJson(headers.accept)) return readEventPage(manager, params.id, { ...query, since, signal })
      return new EventStreamBody(await manager.streamEvents(params.id, { since, types, follow, signal }))
    },
  }) satisfies Partial<Handlers>

/** What an `EventSource` saw last; null for text that is no cursor. */
function cursorOf(lastEventId: string | string[] | undefined): number | null | undefined {
  if (lastEventId === undefined) return undefined
  return parseCursor(String(lastEventId)) ?? null
}
