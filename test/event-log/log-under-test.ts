import { createSessionLog, type EventLog, type LogPage, type ReadOptions } from '../../src/event-log/event-log.ts'
import type { Cursor, ForeignEvent, Gap } from '../../src/protocol/protocol.ts'
import type { Store } from '../../src/store/store.ts'
import { instant, putSession, session } from '../store/records.ts'

/** A log over a journal, with what its writer does to it. */
export interface LogUnderTest {
  readonly log: EventLog
  /** Stores what was appended, and publishes nothing yet. */
  commit(): Promise<Cursor>
  /** Removes all but about the newest `keep` events from the journal. */
  retain(keep: number): Promise<void>
  /** The log as the next process finds it. */
  reopen(): LogUnderTest
}

export interface RingLimits {
  readonly events: number
  readonly bytes: number
}

/** A log of a new session in a store that is open. */
export async function logInStore(store: Store, ring: RingLimits, id = 'log'): Promise<LogUnderTest> {
  await store.write({ session_id: id, changes: [putSession(session(id))] })
  return logOf(store, ring, id)
}

function logOf(store: Store, ring: RingLimits, session_id: string): LogUnderTest {
  const journal = { bounds: () => store.bounds(session_id), read: (after: Cursor) => store.events(session_id, after) }
  const log = createSessionLog(journal, ring)
  return {
    log,
    commit: async () => {
      const changes = log.drain().map((segment) => ({ kind: 'events.append' as const, at: instant(), segment }))
      await store.write({ session_id, changes })
      return log.head
    },
    retain: async (keep) => {
      await store.retain({ before: '1970-01-01T00:00:00Z', keep })
    },
    reopen: () => logOf(store, ring, session_id),
  }
}

export function said(content: string, type = 'agent_choice'): ForeignEvent {
  return { type, content }
}

/** Appends one event for each text, commits and publishes them. */
export async function tell({ log, commit }: LogUnderTest, ...texts: readonly string[]): Promise<Cursor> {
  for (const text of texts) log.append(said(text))
  const last = await commit()
  log.publish(last)
  return last
}

/** The options of a reader that takes everything and does not stay. */
export function options(more: Partial<ReadOptions> = {}): ReadOptions {
  return { since: undefined, follow: false, signal: new AbortController().signal, ...more }
}

/** What a client understands of a page. */
export type Shown = { readonly seq: Cursor; readonly event: ForeignEvent } | { readonly gap: Gap }

/** Takes a page apart line by line, as a client does. */
export function shown(page: LogPage): readonly Shown[] {
  if (page.kind === 'gap') return [{ gap: page.gap }]
  const blocks = page.data.toString().split('\n\n')
  if (blocks.pop() !== '') throw new Error('a page ends within a frame')
  return blocks.map((block) => {
    const [, seq, json] = /^id: (\d+)\ndata: ([^\n\r]*)$/.exec(block) ?? []
    if (seq === undefined || json === undefined) throw new Error(`not a frame: ${block.slice(0, 200)}`)
    return { seq: Number(seq), event: JSON.parse(json) }
  })
}

export async function pagesOf(log: EventLog, more: Partial<ReadOptions> = {}): Promise<readonly LogPage[]> {
  return Array.fromAsync(log.read(options(more)))
}

/** Everything a reader is shown: `'3 text'` for an event, the gap for a gap. */
export async function allOf(log: EventLog, more: Partial<ReadOptions> = {}): Promise<readonly (string | Gap)[]> {
  return brief((await pagesOf(log, more)).flatMap(shown))
}

export function brief(entries: readonly Shown[]): readonly (string | Gap)[] {
  return entries.map((entry) => ('gap' in entry ? entry.gap : `${entry.seq} ${entry.event.content}`))
}
