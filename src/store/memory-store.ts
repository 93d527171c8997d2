import {
  type Cursor,
  type FleetEvent,
  type FleetSession,
  frame,
  type LogBounds,
  type Request,
  type Run,
} from '../protocol/protocol.ts'
import { HandOver } from './hand-over.ts'
import { MemoryLog } from './memory-log.ts'
import { byPlace, createdWithin, pageOf, placeOf } from './memory-page.ts'
import { MemoryShelf, waits } from './memory-shelf.ts'
import { decodeFleetPlace, encodeFleetPlace, instantOf } from './page-cursor.ts'
import type { Policy } from './retention.ts'
import { fold } from './rows.ts'
import type {
  Change,
  FleetFilter,
  FleetSessions,
  Group,
  InputRecord,
  ItemRange,
  ItemRecord,
  KeyRecord,
  Page,
  RequestFilter,
  Segment,
  SessionFilter,
  SessionRecord,
  Store,
  StoreError,
  StoreHealth,
} from './store.ts'
import { unavailableRefusal } from './unavailable-refusal.ts'

/** Sessions in memory, gone with the process: every promise of a store but S3. */
export function createMemoryStore(): Store {
  return new MemoryStore()
}

class MemoryStore implements Store {
  readonly failed = new Promise<StoreError>(() => {})
  readonly #shelves = new Map<string, MemoryShelf>()
  readonly #fleet = new MemoryLog()
  readonly #keys = new Map<string, KeyRecord>()
  readonly #handOver = new HandOver<Group>(async (batch) => this.#commit(batch.map(({ load }) => load)))
  #lastNum = 0
  #state: 'new' | 'open' | 'closed' = 'new'

  async open(): Promise<void> {
    this.#state = 'open'
  }

  session(id: string): SessionRecord | undefined {
    return this.#shelves.get(id)?.record
  }

  sessions(filter: SessionFilter): Page<SessionRecord> {
    const q = fold(filter.q ?? '')
    const isMeant = createdWithin(filter)
    const entries = [...this.#shelves.values()]
      .map(({ record }) => record)
      .filter(({ parent_id }) => parent_id === undefined)
      .filter(({ title }) => fold(title).includes(q))
      .filter(({ starred }) => filter.starred === undefined || starred === filter.starred)
      .filter(({ agent }) => filter.agent === undefined || agent?.source === filter.agent)
      .filter(({ created_at }) => isMeant(created_at))
    return pageOf(entries, placeOf, ['sessions'], filter)
  }

  children(parentId: string): readonly SessionRecord[] {
    const children = [...this.#shelves.values()].map(({ record }) => record)
    return children.filter(({ parent_id }) => parent_id === parentId).sort((a, b) => byPlace(placeOf(a), placeOf(b)))
  }

  titles(prefix: string): readonly string[] {
    const titles = [...this.#shelves.values()].map(({ record }) => record.title)
    return titles.filter((title) => title.startsWith(prefix)).sort()
  }

  items(sessionId: string, range: ItemRange): readonly ItemRecord[] {
    const items = [...(this.#shelves.get(sessionId)?.items.values() ?? [])].sort((a, b) => a.position - b.position)
    if ('last' in range) return items.slice(Math.max(items.length - range.last, 0))
    return items.filter(({ position }) => position >= range.from).slice(0, range.limit)
  }

  run(sessionId: string, runId: string): Run | undefined {
    return this.#shelves.get(sessionId)?.runs.get(runId)
  }

  runs(sessionId: string, page: { readonly limit: number; readonly cursor?: string | undefined }): Page<Run> {
    const runs = [...(this.#shelves.get(sessionId)?.runs.values() ?? [])]
    return pageOf(runs, ({ first_seq, run_id }) => ({ at: first_seq, id: run_id }), ['runs', sessionId], page)
  }

  unfinishedRuns(): readonly Run[] {
    return [...this.#shelves.values()].flatMap(({ runs }) =>
      [...runs.values()].filter(({ status }) => status === 'running'),
    )
  }

  inputs(sessionId: string): readonly InputRecord[] {
    return this.#inputs(sessionId).filter(({ state }) => waits(state))
  }

  waitingSessions(): readonly string[] {
    return [...this.#shelves.keys()].filter((id) =>
      this.#inputs(id).some(({ state, kind }) => state === 'queued' && kind === 'followup'),
    )
  }

  input(sessionId: string, inputId: string): InputRecord | undefined {
    return this.#shelves.get(sessionId)?.inputs.get(inputId)
  }

  allInputs(sessionId: string, page: { limit: number; cursor?: string | undefined }): Page<InputRecord> {
    const places = new Map(this.#inputs(sessionId).map(({ id }, at) => [id, at]))
    return pageOf(this.#inputs(sessionId), ({ id }) => ({ at: places.get(id) ?? 0, id }), ['inputs', sessionId], page)
  }

  #inputs(sessionId: string): readonly InputRecord[] {
    return [...(this.#shelves.get(sessionId)?.inputs.values() ?? [])]
  }

  requests(sessionId: string, which: 'open' | 'all'): readonly Request[] {
    const requests = [...(this.#shelves.get(sessionId)?.requests.values() ?? [])]
    return which === 'all' ? requests : requests.filter(({ state }) => state === 'open')
  }

  request(sessionId: string, requestId: string): Request | undefined {
    const shelves = this.#family(sessionId)
    return shelves.map(({ requests }) => requests.get(requestId)).find((request) => request !== undefined)
  }

  findRequests(filter: RequestFilter): Page<Request> {
    const { state, kind, session, agent } = filter
    const isMeant = createdWithin(filter)
    const shelves = session === undefined ? [...this.#shelves.values()] : this.#family(session)
    const entries = shelves
      .filter(({ record }) => agent === undefined || record.agent?.source === agent)
      .flatMap(({ requests }) => [...requests.values()])
      .filter((request) => state === 'all' || (request.state === 'open') === (state === 'open'))
      .filter(({ content }) => kind === undefined || content.kind === kind)
      .filter(({ created_at }) => isMeant(created_at))
    return pageOf(entries, placeOf, ['requests', session ?? ''], filter, 'oldest first')
  }

  key(scope: string, key: string): KeyRecord | undefined {
    return this.#keys.get(keyName({ scope, key }))
  }

  bounds(sessionId: string): LogBounds {
    return this.#shelves.get(sessionId)?.log.bounds ?? { oldest: 0, head: 0 }
  }

  events(sessionId: string, after: Cursor): Segment | undefined {
    return this.#shelves.get(sessionId)?.log.page(after)
  }

  fleetSession(id: string): FleetSession | undefined {
    return this.#shelves.get(id)?.fleet
  }

  fleetSessions({ session, agent, children = session !== undefined, limit, cursor }: FleetFilter): FleetSessions {
    const place = cursor === undefined ? undefined : decodeFleetPlace(cursor)
    const head = place?.head ?? this.#fleet.bounds.head
    const found = [...this.#shelves.values()]
      .filter(({ record }) => agent === undefined || record.agent?.source === agent)
      .filter(({ record }) => children || record.parent_id === undefined)
      .flatMap(({ num, fleet }) => (fleet === undefined ? [] : [{ num, fleet }]))
      .filter(({ num }) => num < (place?.num ?? Number.POSITIVE_INFINITY))
      .filter(({ fleet }) => session === undefined || fleet.id === session || fleet.above?.includes(session) === true)
      .sort((a, b) => b.num - a.num)
    const shown = found.slice(0, limit)
    const last = found.length > limit ? shown.at(-1) : undefined
    return { entries: shown.map(({ fleet }) => fleet), next: last && encodeFleetPlace({ num: last.num, head }), head }
  }

  fleetBounds(): LogBounds {
    return this.#fleet.bounds
  }

  fleetEvents(after: Cursor): Segment | undefined {
    return this.#fleet.page(after)
  }

  write(group: Group): Promise<void> {
    if (this.#state !== 'open') return Promise.reject(unavailableRefusal())
    const bytes = group.changes.reduce((sum, change) => sum + sizeOf(change), 0)
    return this.#handOver.add({ session_id: group.session_id, load: group, changes: group.changes.length, bytes })
  }

  get pressure(): Promise<void> | undefined {
    return this.#handOver.pressure
  }

  flush(): Promise<void> {
    return this.#handOver.flush()
  }

  async retain({ before, keep }: { readonly before: string; readonly keep?: number | undefined }): Promise<number> {
    const policy: Policy = { before: instantOf(before, 'before'), keep }
    return this.#sumOf((shelf) => shelf.retain(policy))
  }

  async thin(before: string): Promise<number> {
    const instant = instantOf(before, 'before')
    return this.#sumOf(({ log }) => log.thin(instant))
  }

  async forgetRecords(before: string): Promise<number> {
    const instant = instantOf(before, 'before')
    return this.#sumOf((shelf) => shelf.forget(instant))
  }

  async forgetKeys(before: string): Promise<number> {
    const instant = instantOf(before, 'before')
    const old = [...this.#keys].filter(([, { created_at }]) => Date.parse(created_at) < instant)
    for (const [name] of old) this.#keys.delete(name)
    return old.length
  }

  async retainFleet({ before, keep }: { readonly before: string; readonly keep: number }): Promise<number> {
    return this.#fleet.retain({ before: instantOf(before, 'before'), keep })
  }

  health(): StoreHealth {
    const error = { new: 'the store is not open', open: undefined, closed: 'the store is closed' }[this.#state]
    return { connected: error === undefined, error }
  }

  async close(): Promise<void> {
    await this.#handOver.flush()
    this.#state = 'closed'
  }

  #commit(groups: readonly Group[]): readonly unknown[] {
    const broken = new Set<string>()
    return groups.map((group) => {
      if (!broken.has(group.session_id) && this.#canApply(group)) return this.#apply(group)
      broken.add(group.session_id)
      return new Error('the session is not there')
    })
  }

  /** Checked before anything is applied, so that a group is applied whole or not at all. */
  #canApply({ session_id, changes }: Group): boolean {
    let present = this.#shelves.has(session_id)
    return changes.every(({ kind }) => {
      if (kind === 'session.put') present = true
      const possible = present || kind === 'key.put' || kind === 'session.delete' || kind === 'fleet.put'
      if (kind === 'session.delete') present = false
      return possible
    })
  }

  #apply({ session_id, changes }: Group): void {
    for (const change of changes) {
      const shelf = this.#shelves.get(session_id)
      if (change.kind === 'session.put' && shelf === undefined)
        this.#shelves.set(session_id, new MemoryShelf(change.session, ++this.#lastNum))
      else if (change.kind === 'session.delete') this.#delete(session_id)
      else if (change.kind === 'fleet.append') this.#tell(change.event)
      else if (change.kind === 'key.put') this.#keys.set(keyName(change.key), change.key)
      else if (shelf !== undefined) shelf.put(change)
    }
  }

  #tell(event: FleetEvent): void {
    const seq = this.#fleet.bounds.head + 1
    this.#fleet.append({ first: seq, last: seq, text: frame(seq, JSON.stringify(event)) }, event.timestamp)
  }

  #sumOf(work: (shelf: MemoryShelf) => number): number {
    return [...this.#shelves.values()].reduce((sum, shelf) => sum + work(shelf), 0)
  }

  /** What is stored of a session and of all below it. */
  #family(sessionId: string): readonly MemoryShelf[] {
    const shelf = this.#shelves.get(sessionId)
    if (shelf === undefined) return []
    return [shelf, ...this.children(sessionId).flatMap(({ id }) => this.#family(id))]
  }

  #delete(sessionId: string): void {
    const session = this.#shelves.get(sessionId)?.fleet
    this.#shelves.delete(sessionId)
    if (session !== undefined) {
      this.#tell({ type: 'session_deleted', timestamp: new Date().toISOString(), session })
    }
    for (const { id } of this.children(sessionId)) this.#delete(id)
  }
}

function sizeOf(change: Change): number {
  return change.kind === 'events.append' ? change.segment.text.length : 256
}

function keyName({ scope, key }: { readonly scope: string; readonly key: string }): string {
  return JSON.stringify([scope, key])
}
