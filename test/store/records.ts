import type { FleetEventType, FleetSession, Request, Run } from '../../src/protocol/protocol.ts'
import type { Change, InputRecord, ItemRecord, KeyRecord, SessionRecord, Store } from '../../src/store/store.ts'

/** The instant that records of tests are made at, moved by some seconds. */
export function instant(seconds = 0): string {
  return new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString()
}

export function session(id: string, more: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id,
    title: `Title of ${id}`,
    created_at: instant(),
    tools_approved: false,
    hide_tool_results: false,
    SendUserMessage: true,
    max_iterations: 0,
    starred: false,
    input_tokens: 0,
    output_tokens: 0,
    cost: 0,
    policy_pending: true,
    num_items: 0,
    num_messages: 0,
    ...more,
  }
}

export function item(session_id: string, position: number, content = `text ${position}`): ItemRecord {
  const message = { agent_name: 'root', message: { role: 'user' as const, content } }
  return { id: `${session_id}-item-${position}`, session_id, position, body: { kind: 'message', message } }
}

export function run(session_id: string, run_id: string, more: Partial<Run> = {}): Run {
  return {
    run_id,
    session_id,
    agent: 'a',
    agent_name: 'root',
    trigger: 'stream',
    status: 'running',
    first_seq: 1,
    started_at: instant(),
    usage: { input_tokens: 1, output_tokens: 2, cached_input_tokens: 0, cached_write_tokens: 0 },
    cost: 0.25,
    ...more,
  }
}

export function input(session_id: string, id: string, state: InputRecord['state'] = 'queued'): InputRecord {
  return { id, session_id, kind: 'steer', message: { content: `go ${id}` }, state, place: 1, created_at: instant() }
}

export function request(session_id: string, id: string, state: Request['state'] = 'open'): Request {
  const content = { kind: 'elicitation' as const, message: 'Which one?' }
  return { id, session_id, run_id: 'r', state, created_at: instant(), content }
}

export function key(scope: string, name: string, created_at = instant()): KeyRecord {
  return { scope, key: name, fingerprint: 'f', outcome: '{"ok":true}', created_at }
}

export function shown(id: string, more: Partial<FleetSession> = {}): FleetSession {
  return {
    id,
    title: `Title of ${id}`,
    created_at: instant(),
    updated_at: instant(),
    starred: false,
    status: 'idle',
    open_requests: [],
    input_tokens: 0,
    output_tokens: 0,
    cost: 0,
    last_event_seq: 0,
    ...more,
  }
}

export function putFleet(session: FleetSession): Change {
  return { kind: 'fleet.put', session }
}

export function tell(type: FleetEventType, session: FleetSession, timestamp = instant()): Change {
  return { kind: 'fleet.append', event: { type, timestamp, session } }
}

export function putSession(record: SessionRecord): Change {
  return { kind: 'session.put', session: record }
}

/** An append of the events `first` to `last`; the text says which they are. */
export function events(first: number, last = first, more: { at?: string; text?: string } = {}): Change {
  return {
    kind: 'events.append',
    at: more.at ?? instant(),
    segment: { first, last, text: more.text ?? `${first}-${last};` },
  }
}

/** Reads a log of {@link events} from a cursor to its end, beginning with a whole segment. */
export function replay(store: Store, sessionId: string, after = 0): string {
  let text = ''
  for (let cursor = after; ; ) {
    const page = store.events(sessionId, cursor)
    if (page === undefined) return text
    // Rows may have been joined since the page before, which then begins a page with what is known.
    const known = page.first <= cursor && cursor > after ? `-${cursor};` : ''
    text += page.text.slice(page.text.indexOf(known) + known.length)
    cursor = page.last
  }
}
