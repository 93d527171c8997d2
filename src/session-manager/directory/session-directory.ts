import {
  Refusal,
  type Session,
  type SessionDetails,
  type SessionExport,
  type SessionSummary,
  type SessionTemplate,
} from '../../protocol/protocol.ts'
import type { ListedSession, Page, SessionFilter, Store } from '../../store/store.ts'
import type { BatchDeletion, BatchExport } from '../answers.ts'
import type { Idempotency } from '../idempotency.ts'
import { newRecord } from '../state/session-record.ts'
import { toMessages } from '../state/session-tree.ts'
import { isDamage } from '../unless-damaged.ts'
import { toDamagedSummary, toDetails, toExport, toSession, toSummary } from '../views/session-view.ts'
import { settledWithin } from '../wait.ts'
import { forkOf, treeOf } from './fork.ts'
import type { Lifecycle } from './lifecycle.ts'
import { matches } from './session-filter.ts'
import type { SessionMap } from './session-map.ts'
import type { SessionVisits } from './session-visits.ts'
import { checkedWorkingDir } from './working-dir.ts'

/** Where sessions are found and kept. */
interface Shelves {
  readonly store: Store
  readonly sessions: SessionMap
  readonly life: Lifecycle
  readonly visits: SessionVisits
  readonly keys: Idempotency
  /** Sessions may only work below this directory. */
  readonly workingDirRoot: string | undefined
}

/** Lists sessions, adds to them and takes from them: all that is about more than one of them, or about none yet. */
export class SessionDirectory {
  readonly #store: Store
  readonly #sessions: SessionMap
  readonly #life: Lifecycle
  readonly #visits: SessionVisits
  readonly #keys: Idempotency
  readonly #workingDirRoot: string | undefined

  constructor({ store, sessions, life, visits, keys, workingDirRoot }: Shelves) {
    this.#store = store
    this.#sessions = sessions
    this.#life = life
    this.#visits = visits
    this.#keys = keys
    this.#workingDirRoot = workingDirRoot
  }

  // What there is

  list(filter: SessionFilter): Page<SessionSummary> {
    this.#life.needStarted()
    const { entries, next } = this.#store.sessions(filter)
    return { entries: entries.map((record) => this.#summary(record)), next }
  }

  /** Sessions that run here or have something attached, newest first; a cursor means nothing. */
  async active(filter: SessionFilter): Promise<readonly SessionSummary[]> {
    const active = this.#sessions.loaded
      .filter((session) => session.isActive && matches(session.record, filter))
      .sort((a, b) => (a.id < b.id ? 1 : -1))
      .slice(0, filter.limit)
    const summaries = active.map((session) => this.#summary(session.record))
    const told = await Promise.allSettled(active.map((session) => session.settled()))
    return summaries.filter((_, index) => told[index]?.status === 'fulfilled')
  }

  /** The sessions that carry out tasks for a session, oldest first, those of the past too. */
  children(id: string): Promise<readonly SessionSummary[]> {
    return this.#visits.visit(id, async (session) => {
      await session.settled()
      const children = this.#store.children(id)
      const summaries = children.map((child) => this.#summary(this.#sessions.peek(child.id)?.record ?? child))
      const loaded = children.flatMap((child) => this.#sessions.peek(child.id) ?? [])
      await Promise.all(loaded.map((child) => child.settled()))
      return summaries
    })
  }

  #summary(record: ListedSession): SessionSummary {
    if ('damaged' in record) return toDamagedSummary(record)
    return toSummary(record, this.#sessions.peek(record.id)?.runs.current !== undefined)
  }

  /** Exports the sessions that can be read; `missing` names the others. */
  async exportAll(ids: readonly string[]): Promise<BatchExport> {
    const sessions: SessionExport[] = []
    const missing: string[] = []
    for (const id of new Set(ids)) {
      try {
        sessions.push(await this.#visits.visit(id, (session) => session.views.read(toExport, { from: 0 })))
      } catch (refusal) {
        if (!(refusal instanceof Refusal && refusal.code === 'unknown_session') && !isDamage(refusal)) throw refusal
        missing.push(id)
      }
    }
    return { sessions, missing }
  }

  // New sessions

  async create(template: SessionTemplate): Promise<Session> {
    const wanted = template.working_dir
    const workingDir =
      wanted === undefined || wanted === '' ? undefined : checkedWorkingDir(wanted, this.#workingDirRoot)
    this.#life.needReady()
    const session = this.#sessions.add(newRecord(template, workingDir))
    const created = await session.decided(toSession(session.record, []))
    this.#visits.noteUse()
    return created
  }

  /** A new session that begins as one was before its N-th user message, counted from 0. */
  fork(id: string, userMessageIndex: number): Promise<SessionDetails> {
    return this.#visits.use(id, async (parent) => {
      const [record, items] = await parent.views.read((...whole) => whole, { from: 0 })
      this.#life.needReady()
      const fork = forkOf(record, items, userMessageIndex, (prefix) => this.#titlesLike(prefix))
      const session = this.#sessions.add(fork.record, fork.items)
      const below = fork.below.map((copy) => this.#sessions.add(copy.record, copy.items))
      const details = session.decided(toDetails(fork.record, toMessages(treeOf(fork).items)))
      await Promise.all([details, ...below.map((one) => one.settled())])
      return details
    })
  }

  /** Forks that are made at once are not stored yet, and must not get the same number. */
  #titlesLike(prefix: string): readonly string[] {
    return [...this.#store.titles(prefix), ...this.#sessions.loaded.map((session) => session.record.title)]
  }

  // Deletion

  /** Deletes a session with all below it, and stops their runs. With a wait, tells whether the runs have left by then. */
  async delete(id: string, waitMs?: number): Promise<{ readonly left: boolean }> {
    this.#life.needStarted()
    try {
      this.#sessions.open(id)
    } catch (refusal) {
      if (!isDamage(refusal)) throw refusal
      // No run of it can go on.
      await this.#sessions.removeDamaged(id, { left: true })
      return { left: true }
    }
    return this.#visits.visit(id, async (session) => {
      // In one breath: none of them may begin anything in between.
      const sessions = [...this.#sessions.below(id), session]
      await Promise.all([session.decided({ left: true }), ...sessions.map((one) => one.delete())])
      return { left: waitMs === undefined || (await this.left(id, waitMs)) }
    })
  }

  /** Waits until a session that was deleted has left, with all below it. */
  left(id: string, milliseconds: number): Promise<boolean> {
    return settledWithin(Promise.all(this.#sessions.tree(id).map((one) => one.left())), milliseconds)
  }

  /** Waits until no run goes on in a session, and that is committed. One that is gone has stopped. */
  stopped(id: string, milliseconds: number): Promise<boolean> {
    return settledWithin(this.#stopped(id), milliseconds)
  }

  async #stopped(id: string): Promise<void> {
    for (let session = this.#sessions.peek(id); session !== undefined; session = this.#sessions.find(id)) {
      try {
        await session.stopped()
        return
      } catch (failure) {
        // What could not be committed goes on when its session is loaded again.
        if (!session.isLost) throw failure
        await session.left()
      }
    }
  }

  async deleteAll(ids: readonly string[]): Promise<BatchDeletion> {
    const deleted = ids.map((id, place) => this.#keys.part(`${place} ${id}`, () => this.delete(id)))
    const outcomes = await Promise.allSettled(deleted)
    const failed = ids.filter((_, index) => outcomes[index]?.status === 'rejected')
    return { deleted_count: ids.length - failed.length, failed_count: failed.length, failed_ids: failed }
  }
}
