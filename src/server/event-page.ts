import type { z } from 'zod'
import type { LogPage, ReadOptions } from '../event-log/event-log.ts'
import { type Gap, parseFrames } from '../protocol/protocol.ts'

type Pages = AsyncGenerator<LogPage, void, void>

/** What is asked for, and the log that it is asked of. */
export interface EventPageQuery<E> extends Pick<ReadOptions, 'since' | 'signal'> {
  /** Most events that are wanted. */
  readonly limit: number
  /** Milliseconds to wait for an event when there is none. */
  readonly wait: number
  /** What the log's entries are. */
  readonly Entry: z.ZodType<E>
  /** Where the log ends. */
  head(): number | Promise<number>
  read(place: Pick<ReadOptions, 'since' | 'follow' | 'signal'>): Pages | Promise<Pages>
}

export interface EventPage<E> {
  readonly events: readonly E[]
  readonly next_since: number
  readonly gap?: Gap | undefined
}

/** One page of a log as JSON. */
export async function readEventPage<E extends { readonly seq: number }>(
  query: EventPageQuery<E>,
): Promise<EventPage<E>> {
  const { since, signal, wait } = query
  const head = await query.head()
  const now = await collect(await query.read({ since, signal, follow: false }), query, head)
  if (now.events.length > 0 || now.gap !== undefined || wait === 0) return now
  const until = AbortSignal.any([signal, AbortSignal.timeout(wait)])
  const later = await query.read({ since: now.next_since, signal: until, follow: true })
  return collect(firstOf(later), query, now.next_since)
}

/** Takes at most `limit` events. Whoever has read to the end has seen everything up to `head`, shown or not. */
async function collect<E extends { readonly seq: number }>(
  pages: AsyncIterable<LogPage>,
  { limit, Entry }: EventPageQuery<E>,
  head: number,
): Promise<EventPage<E>> {
  const events: E[] = []
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
      const entry = entryOf(Entry, seq, json)
      if (entry !== undefined) events.push(entry)
      else if (events.length > 0) return { events, next_since: seq - 1, gap }
      else gap = { type: 'gap', requested: seq - 1, oldest: seq + 1, head, reason: 'damaged' }
    }
    seen = page.last
  }
  return { events, next_since: Math.max(seen, head), gap }
}

/** `undefined` for an event that cannot be read. */
function entryOf<E>(Entry: z.ZodType<E>, seq: number, json: string): E | undefined {
  try {
    return Entry.safeParse({ seq, event: JSON.parse(json) }).data
  } catch {
    return undefined
  }
}

async function* firstOf(pages: AsyncIterable<LogPage>): Pages {
  for await (const page of pages) {
    yield page
    return
  }
}
