import { FleetEntry } from '../../protocol/protocol.ts'
import type { SessionManager } from '../../session-manager/session-manager.ts'
import { prefersJson } from '../accept.ts'
import { readEventPage } from '../event-page.ts'
import { cursorOf } from '../last-event-id.ts'
import { nextLink } from '../link.ts'
import type { Handlers } from '../route.ts'
import { EventStreamBody } from '../sse.ts'

export const fleetRoutes = (manager: SessionManager) =>
  ({
    getFleetEvents: async ({ query, headers, signal }) => {
      const { limit, wait, follow, ...filter } = query
      const since = cursorOf(headers, query.since)
      if (!prefersJson(headers.accept)) {
        return new EventStreamBody(manager.streamFleet({ ...filter, since, follow, signal }))
      }
      return readEventPage({
        since,
        limit,
        wait,
        signal,
        Entry: FleetEntry,
        head: () => manager.lastFleetSeq,
        read: (place) => manager.streamFleet({ ...filter, ...place }),
      })
    },
    getFleetSnapshot: ({ query, url, reply }) => {
      const { entries, next, head } = manager.getFleet(query)
      if (next !== undefined) reply.header('link', nextLink(url, next))
      return { sessions: entries, next_since: head }
    },
  }) satisfies Partial<Handlers>
