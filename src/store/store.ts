import type {
  Cursor,
  FleetEvent,
  FleetSession,
  InputMessage,
  LogBounds,
  Message,
  QueuedInput,
  Request,
  Run,
  Session,
  SessionAgent,
  SessionError,
  Spending,
  Summary,
  Termination,
} from '../protocol/protocol.ts'

/** A session as it is stored: everything but its items. */
export interface SessionRecord extends Omit<Session, 'messages'> {
  /** The agent it runs; set by its first run. */
  readonly agent?: SessionAgent | undefined
  /** Nobody chose a safety policy yet, so the author's default still applies to the first run. */
  readonly policy_pending: boolean
  /** Of a session that carries out a task: the call that handed it over. */
  readonly task_of?: TaskOrigin | undefined
  /** A compaction that the run was asked for, and has not come to. */
  readonly compaction?: { readonly prompt: string | undefined } | undefined
  /** Items ever added: the position of the next one. */
  readonly num_items: number
  /** Messages, without system messages. */
  readonly num_messages: number
}

/** Where a task comes from. */
export interface TaskOrigin {
  readonly run_id: string
  readonly call_id: string
  /** The session that handed it over is told when it has ended. */
  readonly recall: boolean
}

/** What an item of a session holds; one that a rolled back run has added is no part of the conversation any more. */
export type ItemBody = ItemContent & { readonly rolled_back?: string | undefined }

type ItemContent =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'error'; readonly error: SessionError }
  | { readonly kind: 'summary'; readonly summary: Summary }
  | { readonly kind: 'termination'; readonly termination: Termination }
  /** The session that carries out a task for this one, and what of its figures is counted here. */
  | { readonly kind: 'sub_session'; readonly session_id: string; readonly counted?: CountedBelow | undefined }

/** Sessions commit one by one, so that what is counted here may be less than what a task has spent, or more. */
export interface CountedBelow {
  readonly cost: number
  readonly spent: Spending
}

/** One entry of a session, in order of `position`, which starts at 0 and is never reused. */
export interface ItemRecord {
  readonly id: string
  readonly session_id: string
  readonly position: number
  readonly body: ItemBody
}

/** A queued input, with the key it was sent with. */
export interface InputRecord extends QueuedInput {
  readonly message: InputMessage
}

/** What was decided under an idempotency key. */
export interface KeyRecord {
  readonly scope: string
  readonly key: string
  /** Of the request: another one with the same key is not a repeat. */
  readonly fingerprint: string
  /** JSON: what a repeat is answered from. */
  readonly outcome: string
  readonly created_at: string
}

/** Consecutive events of one session, framed and joined: at most 64 KiB, or one event. Some may have been taken out by {@link Store.thin}. */
export interface Segment {
  readonly first: Cursor
  readonly last: Cursor
  readonly text: string
  /** Before `first` there is something that cannot be read. */
  readonly lacks?: 'damaged' | undefined
}

/** A session as lists show it whose record cannot be read. */
export interface DamagedSession extends Pick<SessionRecord, 'id' | 'title' | 'created_at' | 'starred' | 'parent_id'> {
  /** Source key. */
  readonly agent?: string | undefined
  readonly damaged: true
}

export type ListedSession = SessionRecord | DamagedSession

/** One thing that a group writes. A `put` writes the whole record, new or not. */
export type Change =
  | { readonly kind: 'session.put'; readonly session: SessionRecord }
  /** Removes the session and all sessions below it, with their items, runs, inputs, requests and events; keys stay until they are old. */
  | { readonly kind: 'session.delete' }
  | { readonly kind: 'item.put'; readonly item: ItemRecord }
  | { readonly kind: 'run.put'; readonly run: Run }
  | { readonly kind: 'input.put'; readonly input: InputRecord }
  | { readonly kind: 'request.put'; readonly request: Request }
  | { readonly kind: 'key.put'; readonly key: KeyRecord }
  | { readonly kind: 'events.append'; readonly at: string; readonly segment: Segment }
  /** How the session is shown among all, if it is there. Once it has been, its deletion is told over all sessions. */
  | { readonly kind: 'fleet.put'; readonly session: FleetSession }
  /** Tells something over all sessions. */
  | { readonly kind: 'fleet.append'; readonly event: FleetEvent }

/** What one session decided in one tick: committed whole or not at all. */
export interface Group {
  readonly session_id: string
  readonly changes: readonly Change[]
}

/** Which sessions a list shows. All conditions must hold; only root sessions are listed. Times are RFC 3339. */
export interface SessionFilter {
  /** Text that the title must contain, whatever its case. */
  readonly q?: string | undefined
  readonly starred?: boolean | undefined
  /** Source key of the agent. */
  readonly agent?: string | undefined
  readonly created_after?: string | undefined
  readonly created_before?: string | undefined
  readonly limit: number
  /** Where the page before ended. */
  readonly cursor?: string | undefined
}

/** Which sessions a fleet's list shows: root sessions, or one with all below it, or all of them. */
export interface FleetFilter {
  readonly session?: string | undefined
  /** Source key of the agent. */
  readonly agent?: string | undefined
  readonly children?: boolean | undefined
  readonly limit: number
  readonly cursor?: string | undefined
}

/** Sessions, the newest first, as they were not before `head`, the place in the fleet's log at which the first page was read. */
export interface FleetSessions extends Page<FleetSession> {
  readonly head: Cursor
}

/** Which requests a list shows, oldest first. All conditions must hold. Times are RFC 3339. */
export interface RequestFilter {
  readonly state: 'open' | 'settled' | 'all'
  readonly kind?: Request['content']['kind'] | undefined
  /** Id of a session: of it, and of all below it. */
  readonly session?: string | undefined
  /** Source key of the agent that the session runs. */
  readonly agent?: string | undefined
  readonly created_after?: string | undefined
  readonly created_before?: string | undefined
  readonly limit: number
  /** Where the page before ended. */
  readonly cursor?: string | undefined
}

/** `next` is the cursor of the page that follows, if there is one. */
export interface Page<T> {
  readonly entries: readonly T[]
  readonly next: string | undefined
}

/** Which items of a session to read, in order of position: all, those from a position on, or the newest. */
export type ItemRange = { readonly from: number; readonly limit?: number | undefined } | { readonly last: number }

export interface StoreHealth {
  readonly connected: boolean
  /** Why not, for an operator: no secrets, no paths of clients. */
  readonly error: string | undefined
}

/**
 * Where sessions live.
 *
 * - S1. A read sees every write whose promise has resolved.
 * - S2. What is absent is `undefined`; a read throws only when the store is broken.
 * - S3. A write whose promise has resolved survives a killed process and a power cut.
 * - S4. Writes of one session commit in the order they were given; a group commits whole or not at all, and one that
 *   cannot be written rejects alone: the groups of other sessions that were handed over with it commit.
 * - S5. A write that cannot be committed rejects with `Refusal('store_unavailable')`; whether it took effect is unknown
 *   to its caller. Later groups of the same session that were handed over before the rejection was told reject too.
 * - S6. The head of a log never shrinks: `retain` keeps each session's newest segment, and all events of a run that goes on.
 * - S7. A session goes with its parent: to delete one deletes all below it, in the same commit.
 * - S8. What is told over all sessions is numbered in the order of commits: the number rises by one and is never reused.
 * - S9. A record that cannot be read refuses the reads of its session that need it with `Refusal('session_damaged')`, which
 *   names it. Reads over all sessions go on: they list the session as damaged, or pass over what is damaged; what follows
 *   a damaged event of the fleet is marked. The text of a session's events is not looked at.
 */
export interface Store {
  /** Opens the store: takes ownership, brings the schema up to date. Throws {@link StoreError} when it cannot. */
  open(): Promise<void>

  session(id: string): SessionRecord | undefined
  /** Newest first; sessions of the same instant by id, descending. */
  sessions(filter: SessionFilter): Page<ListedSession>
  /** The sessions whose parent this is, oldest first. */
  children(parentId: string): readonly ListedSession[]
  /** Titles that begin with `prefix`, to number forks. */
  titles(prefix: string): readonly string[]
  items(sessionId: string, range: ItemRange): readonly ItemRecord[]
  run(sessionId: string, runId: string): Run | undefined
  /** Newest first, by seq: a clock may have been set back. */
  runs(sessionId: string, page: { readonly limit: number; readonly cursor?: string | undefined }): Page<Run>
  /** Runs of all sessions that are stored as running. */
  unfinishedRuns(): readonly Run[]
  /** Inputs that still wait, queued or held, oldest first. */
  inputs(sessionId: string): readonly InputRecord[]
  /** The sessions in which a follow-up waits that is not held. */
  waitingSessions(): readonly string[]
  input(sessionId: string, inputId: string): InputRecord | undefined
  /** Inputs whatever became of them, those that were accepted last first. */
  allInputs(
    sessionId: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Page<InputRecord>
  /** Requests of a session, oldest first; only the open ones if asked. */
  requests(sessionId: string, which: 'open' | 'all'): readonly Request[]
  /** A request of a session, or of any below it. */
  request(sessionId: string, requestId: string): Request | undefined
  /** Requests of all sessions, oldest first; those of the same instant by id. */
  findRequests(filter: RequestFilter): Page<Request>
  key(scope: string, key: string): KeyRecord | undefined
  bounds(sessionId: string): LogBounds
  /**
   * Whole segments that hold events after a cursor, joined: at most 256 KiB or one segment. The first may begin before
   * the cursor's successor, or after it when retention has passed.
   */
  events(sessionId: string, after: Cursor): Segment | undefined
  fleetSession(id: string): FleetSession | undefined
  fleetSessions(filter: FleetFilter): FleetSessions
  fleetBounds(): LogBounds
  /** What was told over all sessions after a cursor, framed: at most 256 KiB or one event. */
  fleetEvents(after: Cursor): Segment | undefined

  /** Hands a group over. The promise resolves when it is committed. */
  write(group: Group): Promise<void>
  /** While the hand-over is full: a promise that resolves when there is room again. */
  readonly pressure: Promise<void> | undefined
  /** Resolves when everything that was handed over before has been committed or rejected. */
  flush(): Promise<void>
  /**
   * Removes events older than `before` (RFC 3339) and all but the newest `keep` events of each session, in whole segments
   * as they are stored. Returns how many.
   */
  retain(policy: { readonly before: string; readonly keep?: number | undefined }): Promise<number>
  /**
   * Takes the pieces of what other events tell whole (`deltaTypes`) out of segments older than `before` (RFC 3339), which
   * keep their bounds. Returns how many segments have changed.
   */
  thin(before: string): Promise<number>
  /**
   * Removes runs, inputs and requests that ended before `before` (RFC 3339); each session keeps its newest run. Returns how
   * many.
   */
  forgetRecords(before: string): Promise<number>
  /** Removes idempotency keys made before `before` (RFC 3339). */
  forgetKeys(before: string): Promise<number>
  /** Removes what was told over all sessions before `before` (RFC 3339), and all but the newest `keep`; the newest one stays. */
  retainFleet(policy: { readonly before: string; readonly keep: number }): Promise<number>

  health(): StoreHealth
  /** Resolves when the store can never write again (fsync error, corrupt file, dead writer): the process must end. */
  readonly failed: Promise<StoreError>
  /** Commits what was handed over, then closes. Twice is harmless. */
  close(): Promise<void>
}

/** Why a store cannot be opened or cannot go on. */
export const storeErrorCodes = [
  'owned',
  'foreign_file',
  'newer_file',
  'migration_failed',
  'cannot_open',
  'corrupt',
] as const

/** The message is one sentence for an operator. */
export class StoreError extends Error {
  readonly code: (typeof storeErrorCodes)[number]

  constructor(code: (typeof storeErrorCodes)[number], message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'StoreError'
    this.code = code
  }
}
