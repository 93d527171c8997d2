import { isDeepStrictEqual } from 'node:util'
import {
  type Cursor,
  deltaTypes,
  type FleetEvent,
  type FleetEventType,
  type FleetRequest,
  type FleetSession,
  type ForeignEvent,
  Request,
} from '../../protocol/protocol.ts'
import type { Change, SessionRecord } from '../../store/store.ts'

/** What a teller looks at when a group is closed: the session as it is then. */
export interface Told {
  readonly record: SessionRecord
  /** Questions that wait for a person, here and below. */
  readonly openRequests: readonly Request[]
  /** The sessions above, the root first. */
  readonly above: readonly string[]
}

/** Pieces of what comes whole later: they alone are told at most this often. */
const deltas = new Set(deltaTypes)
const deltaIntervalMs = 2000

const longestLabel = 200

/**
 * Says what a session's group tells over all sessions: whatever changed how the session is shown there, each kind once,
 * and that its log went on. It goes into the group, so it is committed with what it tells.
 */
export class FleetTeller {
  readonly #look: () => Told
  #told: FleetSession | undefined
  #runId: string | undefined
  #requests: FleetRequest[] = []
  #hasNews = false
  #hasDeltas = false
  #deltasTold = Number.NEGATIVE_INFINITY

  /** `stored`: what was told of the session before it was loaded. */
  constructor(look: () => Told, stored: FleetSession | undefined) {
    this.#look = look
    this.#told = stored
    this.#runId = stored?.run_id
  }

  /** An event goes into the session's log: its own, or one of a task below. */
  hear(event: ForeignEvent): void {
    if (deltas.has(event.type)) this.#hasDeltas = true
    else this.#hasNews = true
    if (event.type !== 'request_opened' && event.type !== 'request_settled') return
    const request = Request.safeParse(event.request)
    if (request.success) this.#requests.push(toFleetRequest(request.data))
  }

  /** What goes into the group that these changes and the events up to `head` are in. */
  changesFor(changes: readonly Change[], head: Cursor): readonly Change[] {
    // Most groups of a run are pieces of text.
    if (changes.length === 0 && !this.#hasNews && !this.#isDue) return []
    const look = this.#look()
    for (const change of changes) if (change.kind === 'run.put') this.#follow(change.run)
    const now = new Date().toISOString()
    const session = this.#view(look, now, head)
    const told = { timestamp: now, session, ...this.#agentBefore(session) }
    const events = this.#types(session).map((type): FleetEvent => ({ type, ...told }))
    const asked = this.#requests.map((request): FleetEvent => {
      return { type: request.state === 'open' ? 'request_opened' : 'request_settled', ...told, request }
    })
    const all = events.length + asked.length > 0 ? [...events, ...asked] : this.#progress(told)
    if (all.length === 0) return []
    this.#told = session
    this.#forget()
    return [{ kind: 'fleet.put', session }, ...all.map((event): Change => ({ kind: 'fleet.append', event }))]
  }

  #follow({ run_id, status }: { readonly run_id: string; readonly status: string }): void {
    if (status === 'running') this.#runId = run_id
    else if (this.#runId === run_id) this.#runId = undefined
  }

  #types(session: FleetSession): readonly FleetEventType[] {
    const told = this.#told
    if (told === undefined) return ['session_created']
    const types: FleetEventType[] = []
    if (told.status !== session.status || told.run_id !== session.run_id) types.push('session_status')
    if (told.title !== session.title) types.push('session_title')
    return types
  }

  /** The log went on, or figures changed; of deltas alone this is told now and then. */
  #progress(told: Omit<FleetEvent, 'type'>): readonly FleetEvent[] {
    if (!this.#hasNews && !this.#isDue && this.#told !== undefined && isSame(this.#told, told.session)) return []
    return [{ type: 'session_progress', ...told }]
  }

  #agentBefore({ agent }: FleetSession): Pick<FleetEvent, 'agent_before'> {
    const before = this.#told?.agent
    return before === undefined || before === agent ? {} : { agent_before: before }
  }

  get #isDue(): boolean {
    return this.#hasDeltas && performance.now() - this.#deltasTold >= deltaIntervalMs
  }

  #forget(): void {
    if (this.#hasDeltas) this.#deltasTold = performance.now()
    this.#requests = []
    this.#hasNews = false
    this.#hasDeltas = false
  }

  #view({ record, openRequests, above }: Told, updated_at: string, last_event_seq: Cursor): FleetSession {
    const { id, title, created_at, parent_id, starred, input_tokens, output_tokens, cost } = record
    const run_id = this.#runId
    const waits = openRequests.length > 0
    const atRest = record.paused === undefined ? 'idle' : 'paused'
    return {
      id,
      title,
      created_at,
      updated_at,
      ...(parent_id === undefined ? {} : { parent_id, above: [...above] }),
      ...(record.agent === undefined ? {} : { agent: record.agent.source }),
      starred,
      status: waits ? 'waiting_for_person' : run_id === undefined ? atRest : 'running',
      ...(run_id === undefined ? {} : { run_id }),
      open_requests: openRequests.map((request) => request.id),
      input_tokens,
      output_tokens,
      cost,
      last_event_seq,
    }
  }
}

/** Nothing but the log went on. */
function isSame(a: FleetSession, b: FleetSession): boolean {
  const { updated_at, last_event_seq } = a
  return isDeepStrictEqual(a, { ...b, updated_at, last_event_seq })
}

function toFleetRequest(request: Request): FleetRequest {
  const { id, session_id, run_id, agent_name, state, decider, created_at, settled_at, content } = request
  return {
    id,
    session_id,
    run_id,
    ...(agent_name === undefined ? {} : { agent_name }),
    kind: content.kind,
    label: labelOf(content),
    state,
    ...(decider === undefined ? {} : { decider }),
    created_at,
    ...(settled_at === undefined ? {} : { settled_at }),
  }
}

function labelOf(content: Request['content']): string {
  if (content.kind === 'approval') return content.tool_call.function.name ?? ''
  if (content.kind === 'continuation') return `more than ${content.max_iterations} model calls`
  if (content.kind === 'recovery') return `attempt ${content.attempt}`
  return content.message.slice(0, longestLabel).toWellFormed()
}
