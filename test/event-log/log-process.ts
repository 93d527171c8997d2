import { setImmediate as tick } from 'node:timers/promises'
import { createSessionLog, type EventLog } from '../../src/event-log/event-log.ts'
import type { Cursor } from '../../src/protocol/protocol.ts'
import { Recorder } from '../../src/session-manager/state/recorder.ts'
import type { Group, Store } from '../../src/store/store.ts'
import { FaultStore } from '../session-manager/fault-store.ts'
import { putSession, session } from '../store/records.ts'
import { expectThat, type LogModel, typeOf } from './log-model.ts'
import { options, type RingLimits, said, shown } from './log-under-test.ts'

/** A store whose answers may be late: its journal then holds more than is known to be committed. */
class LateStore extends FaultStore {
  #late: PromiseWithResolvers<void> | undefined

  lag(): void {
    this.#late ??= Promise.withResolvers()
  }

  catchUp(): void {
    this.#late?.resolve()
    this.#late = undefined
  }

  override async write(group: Group): Promise<void> {
    await super.write(group)
    await this.#late?.promise
  }
}

/** A process that writes a session's log, with readers: one that follows it, one that comes and goes, a slow one. */
export class LogProcess {
  readonly #id: string
  readonly #ring: RingLimits
  readonly #store: LateStore
  readonly #model: LogModel
  readonly #log: EventLog
  readonly #recorder: Recorder
  /** Where the reader that comes and goes was cut off. */
  #place: Cursor
  /** Takes a page now and then. */
  readonly #slow: { readonly reader: ReturnType<EventLog['read']>; cursor: Cursor }
  #tail: { readonly leaving: AbortController; readonly left: Promise<Cursor> }

  private constructor(id: string, ring: RingLimits, store: Store, model: LogModel, place: Cursor) {
    this.#id = id
    this.#ring = ring
    this.#store = new LateStore(store)
    this.#model = model
    this.#place = place
    this.#log = createSessionLog({ bounds: () => store.bounds(id), read: (after) => store.events(id, after) }, ring)
    this.#recorder = new Recorder(id, this.#log, this.#store, (cause) => {
      throw cause
    })
    this.#slow = { reader: this.#log.read(options({ since: 0, follow: true })), cursor: 0 }
    this.#tail = this.#followFrom(0)
  }

  static async create(id: string, ring: RingLimits, store: Store, model: LogModel): Promise<LogProcess> {
    await store.write({ session_id: id, changes: [putSession(session(id))] })
    return new LogProcess(id, ring, store, model, 0)
  }

  /** The process that comes after this one. */
  async next(store: Store): Promise<LogProcess> {
    const next = new LogProcess(this.#id, this.#ring, store, this.#model, this.#place)
    this.#model.reopened(next.#log.head)
    await next.#readAll(0)
    return next
  }

  append(sizes: readonly number[]): void {
    for (const size of sizes) {
      const text = this.#model.text(size)
      this.#model.appended(this.#recorder.foreignEvent(said(text, typeOf(text))), text)
    }
    this.#model.decided(this.#log.head)
  }

  async tick(): Promise<void> {
    await tick()
  }

  async commit(): Promise<void> {
    this.#store.release()
    this.#store.catchUp()
    const head = this.#log.head
    await this.#recorder.settled()
    expectThat(this.#log.published >= head, 'what is settled is published')
    this.#model.committed(head)
  }

  /** From now on nothing is committed. */
  hold(): void {
    this.#store.hold()
  }

  /** What waits is committed, and nobody is told. */
  async lag(): Promise<void> {
    this.#store.lag()
    this.#store.release()
    await tick()
    await this.#store.flush()
  }

  /** The reader that follows is cut off and comes back. */
  async cut(): Promise<void> {
    this.#tail = this.#followFrom(await this.#leave())
  }

  async read(since: number | 'all' | 'invalid' | 'ahead' | 'on', pages: number): Promise<void> {
    if (since === 'all') return this.#readFromOldest()
    if (since === 'invalid' || since === 'ahead') return this.#readFromNowhere(since)
    if (typeof since === 'number') this.#place = Math.floor(since * this.#log.published)
    const reader = this.#log.read(options({ since: this.#place }))
    for (let page = 0; page < pages; page += 1) {
      const { value } = await reader.next()
      if (value === undefined) return
      this.#place = this.#model.follow(this.#place, value, this.#log.published)
    }
    await reader.return()
  }

  /** The slow reader takes its next page. */
  async pull(): Promise<void> {
    if (this.#slow.cursor >= this.#log.published) return
    const { value } = await this.#slow.reader.next()
    if (value !== undefined) this.#slow.cursor = this.#model.follow(this.#slow.cursor, value, this.#log.published)
  }

  async filter(since: number): Promise<void> {
    const published = this.#log.published
    const after = Math.floor(since * published)
    const missing = new Set(this.#model.between(after, published, 'rare'))
    let last = after
    for await (const page of this.#log.read(options({ since: after, types: new Set(['rare']) }))) {
      for (const entry of shown(page)) {
        if ('gap' in entry) for (const seq of missing) if (seq < entry.gap.oldest) missing.delete(seq)
        if (!('seq' in entry)) continue
        expectThat(entry.seq > last, `${entry.seq} is shown after ${last} (L3)`)
        // What is published meanwhile is shown as well.
        expectThat(missing.delete(entry.seq) || entry.seq > published, `${entry.seq} was not asked for (L3)`)
        expectThat(entry.event.type === 'rare', `${entry.seq} is none of the types that were asked for`)
        this.#model.show(entry.seq, entry.event.content, this.#log.published)
        last = entry.seq
      }
    }
    expectThat(missing.size === 0, `events are missing: ${[...missing]} (L3)`)
  }

  async retain(keep: number): Promise<void> {
    // Before, what is being committed at this moment may be removed already.
    this.#model.retained(this.#log.head, keep)
    await this.#store.retain({ before: '1970-01-01T00:00:00Z', keep })
  }

  /** What is not committed is lost, and nobody is told of what is. */
  async crash(): Promise<void> {
    await this.#leave()
    await this.#slow.reader.return()
    this.#model.committed(this.#log.published)
    await this.#store.crash()
  }

  /** Ends in order: every reader has got everything. */
  async end(): Promise<void> {
    await this.commit()
    await this.#readAll(this.#place)
    while (this.#slow.cursor < this.#log.published) await this.pull()
    await this.#slow.reader.return()
    this.#log.close()
    expectThat((await this.#tail.left) === this.#log.published, 'a tail ends before the log does (L5)')
    await this.#store.write({ session_id: this.#id, changes: [{ kind: 'session.delete' }] })
  }

  async #readAll(since: Cursor): Promise<void> {
    let cursor = since
    for await (const page of this.#log.read(options({ since }))) {
      cursor = this.#model.follow(cursor, page, this.#log.published)
    }
    expectThat(cursor === this.#log.published, `a reader ends at ${cursor}, before ${this.#log.published} (L3)`)
  }

  async #readFromOldest(): Promise<void> {
    let cursor: Cursor | undefined
    for await (const page of this.#log.read(options())) {
      expectThat(page.kind === 'frames', 'who names no cursor is told of no gap (L3)')
      if (page.kind === 'frames') cursor = this.#model.follow(cursor ?? page.first - 1, page, this.#log.published)
    }
    // Retention may have left nothing that is published: only the newest segment is sure to stay, and its commit may lag.
    const end = cursor ?? Math.max(this.#log.bounds().oldest - 1, 0)
    expectThat(end >= this.#log.published, 'who names no cursor is shown everything to the end (L3)')
  }

  async #readFromNowhere(since: 'invalid' | 'ahead'): Promise<void> {
    const cursor = since === 'invalid' ? null : this.#log.published + 1
    const pages = await Array.fromAsync(this.#log.read(options({ since: cursor })))
    const isOneGap = pages.length === 1 && pages[0]?.kind === 'gap' && pages[0].gap.reason === since
    expectThat(isOneGap, `who comes from nowhere is told one gap (L3)`)
  }

  #followFrom(since: Cursor): { readonly leaving: AbortController; readonly left: Promise<Cursor> } {
    const leaving = new AbortController()
    const left = this.#follow(since, leaving.signal)
    left.catch(() => {})
    return { leaving, left }
  }

  async #follow(since: Cursor, signal: AbortSignal): Promise<Cursor> {
    let cursor = since
    for await (const page of this.#log.read(options({ since, follow: true, signal }))) {
      cursor = this.#model.follow(cursor, page, this.#log.published)
    }
    return cursor
  }

  #leave(): Promise<Cursor> {
    this.#tail.leaving.abort()
    return this.#tail.left
  }
}
