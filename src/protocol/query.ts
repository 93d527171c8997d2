import { z } from 'zod'
import { parseCursor } from './cursor.ts'
import { parseDuration } from './duration.ts'
import { IfBusy } from './input.ts'

const longestWaitMs = 5 * 60_000

/** A wait in Go's duration syntax, in milliseconds, at most five minutes. A negative one has expired at once. */
export const Wait = z.string().transform((text, context) => {
  const milliseconds = parseDuration(text)
  if (milliseconds === undefined) {
    context.addIssue({ code: 'custom', message: 'must be a duration such as 300ms, 10s or 1m30s' })
    return z.NEVER
  }
  return Math.min(Math.max(milliseconds, 0), longestWaitMs)
})

const Flag = z.enum(['true', 'false']).transform((text) => text === 'true')

const limit = (largest: number, usual: number) => z.coerce.number<string>().int().min(1).max(largest).default(usual)

/** Which messages an answer carries: `all`, `none`, or `last:N`. */
export const MessagesQuery = z
  .string()
  .regex(/^(all|none|last:[1-9]\d{0,8})$/, 'must be all, none or last:N')
  .transform((text) => {
    if (text === 'all' || text === 'none') return text
    return { last: Number(text.slice('last:'.length)) }
  })
  .default('all')

export const SessionsQuery = z.object({
  /** Exactly `true`; every other text means nothing, as it does to the ancestor. */
  active: z.string().optional(),
  q: z.string().optional(),
  starred: Flag.optional(),
  agent: z.string().optional(),
  created_after: z.iso.datetime({ offset: true }).optional(),
  created_before: z.iso.datetime({ offset: true }).optional(),
  limit: limit(1000, 1000),
  cursor: z.string().optional(),
})

export const SessionQuery = z.object({ messages: MessagesQuery })

/** `open` waits for a person; `settled` no longer does. */
const requestState = z.enum(['open', 'settled', 'all']).default('open')

export const RequestsQuery = z.object({ state: requestState, limit: limit(1000, 1000), cursor: z.string().optional() })

export const InboxQuery = RequestsQuery.extend({
  kind: z.enum(['approval', 'elicitation', 'continuation', 'recovery']).optional(),
  /** A session, and all below it. */
  session: z.string().optional(),
  agent: z.string().optional(),
  created_after: z.iso.datetime({ offset: true }).optional(),
  created_before: z.iso.datetime({ offset: true }).optional(),
})

export const PageQuery = z.object({ limit: limit(1000, 100), cursor: z.string().optional() })

/** `state`: the messages that wait, or all there are. `limit` and `cursor` are for all. */
export const InputsQuery = PageQuery.extend({ state: z.enum(['waiting', 'all']).default('waiting') })

export const MessagePageQuery = z.object({
  limit: limit(1000, 100),
  cursor: z.coerce.number<string>().int().min(0).default(0),
})

export const StatusQuery = z.object({ wait: Wait.optional() })

export const ReadyQuery = z.object({ timeout: Wait.default(30_000) })

export const DeleteQuery = z.object({ wait: z.string().optional(), timeout: Wait.default(10_000) })

export const CancelQuery = z.object({ wait: Wait.default(10_000) })

const Since = z.string().transform((text, context) => {
  const cursor = parseCursor(text)
  if (cursor !== undefined) return cursor
  context.addIssue({ code: 'custom', message: 'must be a sequence number' })
  return z.NEVER
})

const Types = z.string().transform((text) => new Set(text.split(',').filter((type) => type !== '')))

/** The header `Last-Event-ID` wins over `since`. `wait` and `limit` are for the JSON page. */
export const EventsQuery = z.object({
  since: Since.optional(),
  types: Types.optional(),
  follow: Flag.default(true),
  wait: Wait.default(0),
  limit: limit(1000, 256),
})

/** Which sessions of a fleet are shown: root sessions, or one with all below it, or all of them. */
const fleetFilter = { session: z.string().optional(), agent: z.string().optional(), children: Flag.default(false) }

export const FleetEventsQuery = z.object({ ...EventsQuery.shape, ...fleetFilter })

export const FleetSnapshotQuery = z.object({ ...fleetFilter, limit: limit(1000, 1000), cursor: z.string().optional() })

export const RunQuery = z.object({
  on_disconnect: z.enum(['cancel', 'continue']).optional(),
  if_busy: IfBusy.optional(),
})
