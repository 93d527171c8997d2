import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Policy } from './retention.ts'
import { sentenceFor } from './sqlite-error.ts'
import { StoreError } from './store.ts'
import { unavailableRefusal } from './unavailable-refusal.ts'
import type { RowGroup } from './writer.ts'

/** What is removed for its age alone. */
export type Removal = 'thin' | 'forget_records' | 'forget_keys'

export type LongAsk =
  | { readonly kind: 'retain'; readonly id: number; readonly policy: Policy }
  | { readonly kind: 'retain_fleet'; readonly id: number; readonly policy: Policy }
  | { readonly kind: Removal; readonly id: number; readonly before: number }

/** What the main thread asks of the writer's thread. */
export type Ask = { readonly kind: 'commit'; readonly groups: readonly RowGroup[] } | LongAsk

/** What the writer's thread answers. Codes are those of SQLite. */
export type Answer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'committed'; readonly codes: readonly (string | undefined)[] }
  | { readonly kind: 'counted'; readonly id: number; readonly count: number }
  | { readonly kind: 'uncounted'; readonly id: number; readonly code: string }
  | { readonly kind: 'unwritable'; readonly code: string }
  | { readonly kind: 'writable' }
  | { readonly kind: 'fatal'; readonly code: string }

/** What the owner of a link learns from it. */
export interface LinkEvents {
  /** What an operator should know while nothing can be written; `undefined` when writing works again. */
  health(error: string | undefined): void
  /** Nothing will ever be written again. */
  failed(error: StoreError): void
}

/** The main thread's side of the writer's thread: one batch in flight, long work beside it. */
export class WriterLink {
  readonly #worker: Worker
  readonly #events: LinkEvents
  readonly #counts = new Map<number, PromiseWithResolvers<number>>()
  readonly #ready = Promise.withResolvers<void>()
  readonly #exited = Promise.withResolvers<void>()
  #batch: PromiseWithResolvers<readonly (string | undefined)[]> | undefined
  #started = false
  #closing = false
  #broken: StoreError | undefined
  #lastId = 0

  private constructor(path: string, events: LinkEvents) {
    this.#events = events
    // The compiler does not rewrite this name, so it takes the extension of the file that it stands in.
    const file = new URL(`./writer-thread${extname(import.meta.url)}`, import.meta.url)
    this.#worker = new Worker(file, { workerData: path })
    this.#worker.on('message', (answer: Answer) => this.#hear(answer))
    this.#worker.on('error', (error) => this.#break('the thread that writes the database failed', error))
    this.#worker.on('exit', () => {
      if (!this.#closing) this.#break('the thread that writes the database ended', undefined)
      this.#exited.resolve()
    })
  }

  /** Starts the thread. Rejects with what kept it from opening the database. */
  static async start(path: string, events: LinkEvents): Promise<WriterLink> {
    const link = new WriterLink(path, events)
    await link.#ready.promise
    link.#started = true
    return link
  }

  /** Commits a batch. Answers per group the code of what failed, or `undefined`. */
  commit(groups: readonly RowGroup[]): Promise<readonly (string | undefined)[]> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken)
    this.#batch = Promise.withResolvers()
    this.#ask({ kind: 'commit', groups })
    return this.#batch.promise
  }

  /** Removes old events. Resolves with how many segments. */
  retain(policy: Policy): Promise<number> {
    return this.#count((id) => ({ kind: 'retain', id, policy }))
  }

  /** Removes what is older than an instant. Resolves with how much. */
  remove(kind: Removal, before: number): Promise<number> {
    return this.#count((id) => ({ kind, id, before }))
  }

  /** Removes the oldest that was told over all sessions. Resolves with how much. */
  retainFleet(policy: Policy): Promise<number> {
    return this.#count((id) => ({ kind: 'retain_fleet', id, policy }))
  }

  /** Ends the thread after what it was asked. Long work is left where it is. */
  async close(): Promise<void> {
    this.#closing = true
    this.#worker.postMessage({ kind: 'close' })
    await this.#exited.promise
    this.#rejectAll(new Error('the store is closed'))
  }

  #count(ask: (id: number) => LongAsk): Promise<number> {
    if (this.#broken !== undefined) return Promise.reject(unavailableRefusal(this.#broken))
    const id = ++this.#lastId
    const count = Promise.withResolvers<number>()
    this.#counts.set(id, count)
    this.#ask(ask(id))
    return count.promise
  }

  #ask(ask: Ask): void {
    this.#worker.postMessage(ask)
  }

  #hear(answer: Answer): void {
    if (answer.kind === 'ready') this.#ready.resolve()
    else if (answer.kind === 'committed') this.#batch?.resolve(answer.codes)
    else if (answer.kind === 'counted') this.#takeCount(answer.id)?.resolve(answer.count)
    else if (answer.kind === 'uncounted') this.#takeCount(answer.id)?.reject(unavailableRefusal(new Error(answer.code)))
    else if (answer.kind === 'unwritable') this.#events.health(sentenceFor(answer.code))
    else if (answer.kind === 'writable') this.#events.health(undefined)
    else this.#break(`the database is damaged or the disk failed (${answer.code})`, undefined)
  }

  #takeCount(id: number): PromiseWithResolvers<number> | undefined {
    const count = this.#counts.get(id)
    this.#counts.delete(id)
    return count
  }

  #break(sentence: string, cause: unknown): void {
    if (this.#broken !== undefined) return
    this.#broken = new StoreError('corrupt', `${sentence}; nothing can be written any more`, cause)
    this.#ready.reject(cause ?? this.#broken)
    this.#rejectAll(this.#broken)
    if (this.#started) this.#events.failed(this.#broken)
    void this.#worker.terminate()
  }

  #rejectAll(cause: Error): void {
    this.#batch?.reject(cause)
    for (const count of this.#counts.values()) count.reject(unavailableRefusal(cause))
    this.#counts.clear()
  }
}
