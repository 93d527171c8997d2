import { LogEntry } from '../../protocol/protocol.ts'
import type { SessionManager } from '../../session-manager/session-manager.ts'
import { prefersJson } from '../accept.ts'
import { readEventPage } from '../event-page.ts'
import { cursorOf } from '../last-event-id.ts'
import type { Handlers } from '../route.ts'
import { EventStreamBody } from '../sse.ts'

export const eventRoutes = (manager: SessionManager) =>
  ({
    getEvents: async ({ params, query, headers, signal }) => {
      const since = cursorOf(headers, query.since)
      const { types, follow } = query
      if (!prefersJson(headers.accept)) {
        return new EventStreamBody(await manager.streamEvents(params.id, { since, types, follow, signal }))
      }
      return readEventPage({
        ...query,
        since,
        signal,
        Entry: LogEntry,
        head: () => manager.lastEventSeq(params.id),
        read: (place) => manager.streamEvents(params.id, { types, ...place }),
      })
    },
  }) satisfies Partial<Handlers>
