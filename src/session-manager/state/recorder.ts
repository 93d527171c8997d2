import type { EventLog } from '../../event-log/event-log.ts'
import { type Cursor, type EventBody, type ForeignEvent, Refusal } from '../../protocol/protocol.ts'
import type { Change, Store } from '../../store/store.ts'
import { keyOfCommand } from '../idempotency.ts'

/** What one session may decide while its group before is being committed. */
const mostUndrainedBytes = 4 * 1024 * 1024

/** Where the events of a session are told too, while it carries out a task for the session above it. */
export interface Above {
  /** The run at the top. */
  readonly rootRunId: string
  readonly recorder: Recorder
  /** An event as it is told there, if it is. */
  toldAs(event: ForeignEvent): ForeignEvent | undefined
}

/** What is told over all sessions of what is recorded here. */
export interface Fleet {
  hear(event: ForeignEvent): void
  /** What goes into the group that these changes and the events up to `head` are in. */
  changesFor(changes: readonly Change[], head: Cursor): readonly Change[]
  /** A group was committed. */
  wake(): void
}

interface OpenGroup {
  /** By record: a later put of the same record replaces the earlier one. */
  readonly changes: Map<string, Change>
  readonly committed: PromiseWithResolvers<void>
}

/**
 * Writes down what a session decides: events into its log, records for the store. What one tick decides is one group; while
 * a group is being committed the next one collects. A group that is committed is published, one that fails ends the
 * recorder: `onLost` is told once, and nothing is recorded any more.
 */
export class Recorder {
  readonly #sessionId: string
  readonly #log: EventLog
  readonly #store: Store
  readonly #onLost: (cause: unknown) => void
  readonly #fleet: Fleet | undefined
  #open: OpenGroup | undefined
  #inFlight: OpenGroup | undefined
  #ended: 'no' | 'deleted' | 'lost' | 'left' = 'no'
  #lost: Promise<never> | undefined
  above: Above | undefined

  constructor(sessionId: string, log: EventLog, store: Store, onLost: (cause: unknown) => void, fleet?: Fleet) {
    this.#sessionId = sessionId
    this.#log = log
    this.#store = store
    this.#onLost = onLost
    this.#fleet = fleet
  }

  /** Appends an event and returns its seq. */
  event(body: EventBody, runId?: string): Cursor {
    const root = this.above === undefined ? {} : { root_run_id: this.above.rootRunId }
    const envelope = { session_id: this.#sessionId, ...(runId === undefined ? {} : { run_id: runId, ...root }) }
    return this.foreignEvent({ ...body, ...envelope, timestamp: new Date().toISOString() })
  }

  /** Appends an event that comes complete from outside. */
  foreignEvent(event: ForeignEvent): Cursor {
    // Told above also when it cannot be told here: whoever waits there must see how it ends.
    const above = this.above?.toldAs(event)
    if (above !== undefined) this.above?.recorder.foreignEvent(above)
    if (this.#ended !== 'no') return this.#log.head
    this.#collect()
    this.#fleet?.hear(event)
    return this.#log.append(event)
  }

  save(change: Change): void {
    if (this.#ended === 'no') this.#collect().changes.set(recordKey(change), change)
  }

  /** Records that the session is gone, and why its readers must leave. Nothing is recorded after it. */
  delete(reason: string): void {
    if (this.#ended !== 'no') return
    this.event({ type: 'session_exited', reason })
    this.#collect().changes.set('session', { kind: 'session.delete' })
    this.#ended = 'deleted'
  }

  /** Stops recording; what was recorded before is still committed. */
  leave(): void {
    if (this.#ended === 'no') this.#ended = 'left'
  }

  /** Forgets what was recorded in this breath: the session could not be loaded. */
  drop(): void {
    this.#ended = 'left'
    this.#open?.committed.reject(new Refusal('session_damaged'))
    this.#open = undefined
  }

  /**
   * Closes a command, in the breath in which it has recorded its effect: the idempotency key that it came with, if any, is
   * committed with that. Resolves then with the outcome, which is JSON and from which repeats are answered.
   */
  async decided(): Promise<void>
  async decided<T>(outcome: T): Promise<T>
  async decided<T>(outcome?: T): Promise<T | undefined> {
    const key = this.isOpen ? keyOfCommand(outcome) : undefined
    if (key !== undefined) this.save({ kind: 'key.put', key })
    await this.settled()
    return outcome
  }

  /** Resolves when everything recorded so far is committed; rejects when it cannot be. */
  settled(): Promise<void> {
    return this.#lost ?? (this.#open ?? this.#inFlight)?.committed.promise ?? Promise.resolve()
  }

  /** While too much waits to be committed, here or above: a promise that resolves when there is room again. */
  get pressure(): Promise<void> | undefined {
    const own = this.#log.undrainedBytes > mostUndrainedBytes ? this.settled() : undefined
    return this.#store.pressure ?? own ?? this.above?.recorder.pressure
  }

  /** False once nothing is recorded any more. */
  get isOpen(): boolean {
    return this.#ended === 'no'
  }

  get isSettled(): boolean {
    return this.#open === undefined && this.#inFlight === undefined
  }

  #collect(): OpenGroup {
    if (this.#open !== undefined) return this.#open
    const group: OpenGroup = { changes: new Map(), committed: Promise.withResolvers() }
    group.committed.promise.catch(() => {})
    this.#open = group
    if (this.#inFlight === undefined) setImmediate(() => this.#handOver())
    return group
  }

  #handOver(): void {
    const group = this.#open
    if (group === undefined || this.#inFlight !== undefined) return
    this.#open = undefined
    this.#inFlight = group
    const last = this.#log.head
    this.#write(group).then(
      () => this.#onCommitted(group, last),
      (cause: unknown) => this.#onRejected(group, cause),
    )
  }

  /** What cannot be written down fails this session, not the process. */
  async #write(group: OpenGroup): Promise<void> {
    await this.#store.write({ session_id: this.#sessionId, changes: this.#changesOf(group) })
  }

  #changesOf(group: OpenGroup): readonly Change[] {
    const segments = this.#log.drain()
    const changes = [...group.changes.values()]
    // Keys outlive their session: a command that is repeated gets the answer it got.
    if (this.#ended === 'deleted') return changes.filter(({ kind }) => kind === 'session.delete' || kind === 'key.put')
    const at = new Date().toISOString()
    const told = this.#fleet?.changesFor(changes, this.#log.head) ?? []
    return [...changes, ...segments.map((segment): Change => ({ kind: 'events.append', at, segment })), ...told]
  }

  #onCommitted(group: OpenGroup, last: Cursor): void {
    this.#inFlight = undefined
    this.#log.publish(last)
    this.#fleet?.wake()
    group.committed.resolve()
    this.#handOver()
  }

  #onRejected(group: OpenGroup, cause: unknown): void {
    this.#ended = 'lost'
    this.#lost = Promise.reject(cause)
    this.#lost.catch(() => {})
    group.committed.reject(cause)
    this.#open?.committed.reject(cause)
    this.#open = undefined
    this.#inFlight = undefined
    this.#onLost(cause)
  }
}

function recordKey(change: Change): string {
  switch (change.kind) {
    case 'session.put':
    case 'session.delete':
      return 'session'
    case 'item.put':
      return `item ${change.item.id}`
    case 'run.put':
      return `run ${change.run.run_id}`
    case 'input.put':
      return `input ${change.input.id}`
    case 'request.put':
      return `request ${change.request.id}`
    case 'key.put':
      return `key ${JSON.stringify([change.key.scope, change.key.key])}`
    case 'events.append':
      return `events ${change.segment.first}`
    case 'fleet.put':
      return 'fleet'
    case 'fleet.append':
      return `fleet ${change.event.type} ${change.event.request?.id ?? ''}`
  }
}
