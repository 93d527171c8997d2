import { setImmediate as giveWay } from 'node:timers/promises'
import { Refusal } from '../../protocol/protocol.ts'
import type { Change, ItemRecord, SessionRecord, Store } from '../../store/store.ts'
import { keyOfCommand, withoutKey } from '../idempotency.ts'
import { LiveSession } from '../live-session.ts'
import type { SharedSurroundings, Surroundings } from '../state/surroundings.ts'
import { isDamage, unlessDamaged } from '../unless-damaged.ts'
import { isNeeded, type StaleSession } from './stale-sessions.ts'

const sweepEveryMs = 1000
const unusedForMs = 60_000
/** When more are loaded, they need to be unused for a moment only: whoever goes through all sessions must not fill the memory. */
const crowd = { sessions: 1000, unusedForMs: 1000 } as const
/** How long everybody else waits at most while many sessions are loaded. */
const stepMs = 25
/** After so long without a run the toolsets of a session are stopped. */
const idleForMs = 10 * 60_000
/** Between a commit that failed and the next attempt to take up what it has stopped. */
const takeUpAfterMs = 1000
/** So many unusable sessions are told one by one. */
const mostUnusable = 1000

/** The sessions that are loaded: the one map that is keyed by session id. */
export class SessionMap {
  readonly #around: Surroundings
  readonly #loaded = new Map<string, LiveSession>()
  #sweeper: NodeJS.Timeout | undefined
  /** Sessions that a failed commit has thrown away, and that nothing has gone on in since. */
  readonly #lost = new Set<string>()
  /** The next look for what a failed commit has stopped. */
  #takingUp: NodeJS.Timeout | undefined
  /** Names of sessions whose state was reported as unusable. */
  readonly #unusable = new Set<string>()
  #isClosed = false

  constructor(around: SharedSurroundings) {
    this.#around = {
      ...around,
      add: (record) => this.add(record),
      find: (id) => this.find(id),
      peek: (id) => this.peek(id),
      below: (id) => this.below(id),
    }
  }

  /** From now on what nobody uses is unloaded. */
  startSweeping(): void {
    this.#sweeper = setInterval(() => this.#sweep(), sweepEveryMs).unref()
  }

  get loaded(): readonly LiveSession[] {
    return [...this.#loaded.values()]
  }

  peek(id: string): LiveSession | undefined {
    return this.#loaded.get(id)
  }

  /** The session, loaded if need be; `undefined` when there is none that can be read. */
  find(id: string): LiveSession | undefined {
    try {
      return this.open(id)
    } catch (refusal) {
      if (refusal instanceof Refusal && (refusal.code === 'unknown_session' || isDamage(refusal))) return undefined
      throw refusal
    }
  }

  /** The session, loaded if need be. Throws `Refusal('unknown_session')` or `Refusal('session_damaged')`. */
  open(id: string): LiveSession {
    const loaded = this.#loaded.get(id)
    if (loaded !== undefined) return loaded
    const record = this.#around.store.session(id)
    if (record === undefined) throw new Refusal('unknown_session')
    // Whoever is above counts what happens here; and one that is being deleted takes all below it along.
    if (record.parent_id !== undefined && this.open(record.parent_id).isDeleted) throw new Refusal('unknown_session')
    return this.#keep(record)
  }

  /** The sessions below one that are loaded, or were until a commit failed, and not deleted, the lowest first. */
  below(id: string): readonly LiveSession[] {
    const stored = this.#around.store.children(id).map((child) => child.id)
    const loaded = this.loaded.filter(({ record }) => record.parent_id === id).map((child) => child.id)
    return [...new Set([...stored, ...loaded])].flatMap((child) => {
      const session = this.#lost.has(child) ? this.find(child) : this.peek(child)
      return [...this.below(child), ...(session === undefined || session.isDeleted ? [] : [session])]
    })
  }

  /** What is loaded of a session and all below it, those that are deleted and have not left yet too. */
  tree(id: string): readonly LiveSession[] {
    const top = this.peek(id)
    const below = this.loaded.filter(({ record }) => record.parent_id === id).flatMap((child) => this.tree(child.id))
    return top === undefined ? below : [top, ...below]
  }

  /** Loads a session that is new, and records it with the items it begins with. */
  add(record: SessionRecord, items: readonly ItemRecord[] = []): LiveSession {
    const session = this.#keep(record, true)
    session.create(items)
    return session
  }

  /** Loads the sessions whose stored run nobody drives: that takes the run up. */
  async takeUp(): Promise<readonly LiveSession[]> {
    const { store, departures } = this.#around
    return this.load(departures.inOrder(store.unfinishedRuns()).map(({ session_id }) => session_id))
  }

  /** Loads many sessions, one after another, so that everybody else goes on meanwhile; none once the process is about to end. */
  async load(ids: readonly string[]): Promise<readonly LiveSession[]> {
    const sessions: LiveSession[] = []
    let since = performance.now()
    for (const id of ids) {
      if (this.#around.isLeaving()) break
      const session = this.find(id)
      if (session !== undefined) sessions.push(session)
      if (performance.now() - since < stepMs) continue
      await giveWay()
      since = performance.now()
    }
    return sessions
  }

  /** Unloads what nobody has used for so long, and who is above after all below it. */
  unload(milliseconds: number): void {
    const above = new Set(this.loaded.map(({ record }) => record.parent_id))
    for (const session of this.loaded) {
      if (!above.has(session.id) && session.isUnusedFor(milliseconds)) this.#drop(session)
    }
  }

  /** Deletes a session that cannot be loaded, with all below it. Resolves when that is committed. */
  async removeDamaged(id: string, outcome: unknown): Promise<void> {
    const key = keyOfCommand(outcome)
    const changes: readonly Change[] = [{ kind: 'session.delete' }, ...(key ? [{ kind: 'key.put', key } as const] : [])]
    const below = this.below(id).map((one) => one.delete())
    await Promise.all([...below, this.#around.store.write({ session_id: id, changes })])
    this.#around.fleet.wake()
  }

  /** Deletes a root session with all below it, unless somebody needs one of them, or has used it since. Resolves after the commit. */
  async removeUnused({ id, lastUsed }: StaleSession): Promise<void> {
    const { store } = this.#around
    const ids = idsBelow(store, id)
    const isUsed = (one: string): boolean => {
      const told = store.fleetSession(one)
      return (
        told === undefined ||
        isNeeded(told) ||
        Date.parse(told.updated_at) > lastUsed ||
        store.inputs(one).length > 0 ||
        this.peek(one)?.isUnusedFor(0) === false
      )
    }
    // What is damaged goes only when somebody says so.
    const session = unlessDamaged(() => (ids.some(isUsed) ? undefined : this.open(id)))
    if (session === undefined) return
    // In one breath with the look before: none of them may begin anything in between.
    await Promise.all([...this.below(id), session].map((one) => one.delete()))
  }

  #sweep(): void {
    for (const session of this.loaded) void session.cool(idleForMs)
    this.unload(this.#loaded.size > crowd.sessions ? crowd.unusedForMs : unusedForMs)
  }

  /** Leaves every session as it is. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#sweeper)
    clearTimeout(this.#takingUp)
    // First of all, so that no log tells what others do because their run goes.
    for (const session of this.loaded) session.stopRecording()
    await Promise.all(this.loaded.map((session) => session.leave()))
    this.#loaded.clear()
    this.#around.fleet.close()
  }

  #keep(record: SessionRecord, isNew = false): LiveSession {
    // What a session has to do when it is loaded is no part of the command that loads it.
    const session = withoutKey(() => this.#load(record, isNew))
    this.#loaded.set(record.id, session)
    return session
  }

  /** What is stored has the right shape, and may still make no sense: then it is no defect of ours. */
  #load(record: SessionRecord, isNew: boolean): LiveSession {
    try {
      return new LiveSession(record, this.#around, (gone) => this.#drop(gone), isNew)
    } catch (failure) {
      if (failure instanceof Refusal || isNew) throw failure
      this.#tellOnce(record.id, failure)
      const details = [{ path: 'stored', message: 'does not fit together' }]
      throw new Refusal('session_damaged', `Stored data of session ${record.id} cannot be used`, { details })
    }
  }

  #tellOnce(id: string, failure: unknown): void {
    if (this.#unusable.has(id) || this.#unusable.size >= mostUnusable) return
    this.#unusable.add(id)
    this.#around.onDefect(failure)
  }

  #drop(session: LiveSession): void {
    if (this.#loaded.get(session.id) === session) this.#loaded.delete(session.id)
    if (!session.isLost) return
    this.#lost.add(session.id)
    this.#takeUpSoon()
  }

  /** A run whose commit has failed goes on, and so does a queue that was about to start one, also when nobody asks for them. */
  #takeUpSoon(): void {
    if (this.#isClosed || this.#takingUp !== undefined) return
    this.#takingUp = setTimeout(() => void this.#takeUp(), takeUpAfterMs).unref()
  }

  async #takeUp(): Promise<void> {
    this.#takingUp = undefined
    try {
      // One that cannot be committed now is dropped, and taken up later.
      await this.takeUp()
      for (const id of this.#lost) {
        if (this.#around.isLeaving()) return
        this.find(id)?.inputs.goOn()
        this.#lost.delete(id)
      }
    } catch (failure) {
      // What is wrong with one of them is no matter of time.
      if (!(failure instanceof Refusal)) this.#around.onDefect(failure)
      else this.#takeUpSoon()
    }
  }
}

/** A session and all that are stored below it. */
function idsBelow(store: Store, id: string): readonly string[] {
  return [id, ...store.children(id).flatMap((child) => idsBelow(store, child.id))]
}
