import type { LogPage, ReadOptions } from '../event-log/event-log.ts'
import { type EventPage, type Gap, LogEntry, parseFrames } from '../protocol/protocol.ts'
import type { SessionManager } from '../session-manager/session-manager.ts'

export interface EventPageQuery extends Pick<ReadOptions, 'since' | 'types' | 'signal'> {
  /** Most events that are wanted. */
  readonly limit: number
  /** Milliseconds to wait for an event when there is none. */
  readonly wait: number
}

/** One page of a session's log as JSON. */
export async function readEventPage(
  manager: SessionManager,
  id: string,
  { since, types, signal, limit, wait }: EventPageQuery,
): Promise<EventPage> {
  const head = await manager.lastEventSeq(id)
  const now = await collect(await manager.streamEvents(id, { since, types, signal, follow: false }), limit, head)
  if (now.events.length > 0 || now.gap !== undefined || wait === 0) return now
  const until = AbortSignal.any([signal, AbortSignal.timeout(wait)])
  const later = await manager.streamEvents(id, { since: now.next_since, types, signal: until, follow: true })
  return collect(firstOf(later), limit, now.next_since)
}

/** Takes at most `limit` events. Whoever has read to the end has seen everything up to `head`, shown or not. */
async function collect(pages: AsyncIterable<LogPage>, limit: number, head: number): Promise<EventPage> {
  const events: LogEntry[] = []
  let gap: Gap | undefined
  let seen = head
  for await (const page of pages) {
    if (page.kind === 'gap') {
      // A gap further on is told by the page that begins there.
      if (events.length > 0) return { events, next_since: seen, gap }
      gap = page.gap
      continue
    }
    for (const { seq, json } of parseFrames(page.data.toString())) {
      if (events.length === limit) return { events, next_since: events.at(-1)?.seq ?? seen, gap }
      events.push(LogEntry.parse({ seq, event: JSON.parse(json) }))
    }
    seen = page.last
  }
  return { events, next_since: Math.max(seen, head), gap }
}

async function* firstOf(pages: AsyncGenerator<LogPage, void, void>): AsyncGenerator<LogPage, void, void> {
  for await (const page of pages) {
    yield page
    return
  }
}
