import { unavailableRefusal } from './unavailable-refusal.ts'

/** What one group asks for: `load` is what the writer understands, `changes` and `bytes` how much it is. */
export interface Parcel<T> {
  readonly session_id: string
  readonly load: T
  readonly changes: number
  readonly bytes: number
}

/** Commits a batch in order. One entry per group: why it was not committed, or `undefined`. */
export type CommitBatch<T> = (batch: readonly Parcel<T>[]) => Promise<readonly unknown[]>

interface Entry<T> extends PromiseWithResolvers<void> {
  readonly parcel: Parcel<T>
}

export const handOverLimit = { bytes: 8 * 1024 * 1024, changes: 10_000 } as const

/**
 * The way from those who decide to the one who writes. What is added in a tick goes as one batch at the tick's end; one
 * batch is in flight, and what arrives meanwhile is the next. Keeps promise S5 of the store for groups that wait.
 */
export class HandOver<T> {
  readonly #commit: CommitBatch<T>
  #waiting: Entry<T>[] = []
  #inFlight: readonly Entry<T>[] = []
  #scheduled = false
  #stopped: { readonly cause: unknown } | undefined
  #changes = 0
  #bytes = 0
  #pressure: PromiseWithResolvers<void> | undefined

  constructor(commit: CommitBatch<T>) {
    this.#commit = commit
  }

  /** Takes a group over. The promise settles when the group is committed, or rejects with `store_unavailable`. */
  add(parcel: Parcel<T>): Promise<void> {
    if (this.#stopped !== undefined) return Promise.reject(unavailableRefusal(this.#stopped.cause))
    const entry = { parcel, ...Promise.withResolvers<void>() }
    this.#waiting.push(entry)
    this.#changes += parcel.changes
    this.#bytes += parcel.bytes
    if (this.#changes > handOverLimit.changes || this.#bytes > handOverLimit.bytes) {
      this.#pressure ??= Promise.withResolvers<void>()
    }
    this.#schedule()
    return entry.promise
  }

  /** While more is uncommitted than the limit: resolves when half of that is left. */
  get pressure(): Promise<void> | undefined {
    return this.#pressure?.promise
  }

  /** Resolves when everything that was added before is settled. */
  async flush(): Promise<void> {
    await Promise.allSettled([...this.#inFlight, ...this.#waiting].map(({ promise }) => promise))
  }

  /** Rejects what waits and all that comes later. What is in flight settles when its commit does. */
  stop(cause: unknown): void {
    this.#stopped ??= { cause }
    this.#rejectWaiting(() => true, cause)
  }

  #schedule(): void {
    if (this.#scheduled || this.#inFlight.length > 0 || this.#waiting.length === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      void this.#send()
    })
  }

  async #send(): Promise<void> {
    const batch = this.#waiting
    if (batch.length === 0) return
    this.#waiting = []
    this.#inFlight = batch
    try {
      this.#settle(batch, await this.#commit(batch.map(({ parcel }) => parcel)))
    } catch (error) {
      this.#settle(batch, new Array(batch.length).fill(error))
    }
    this.#inFlight = []
    this.#schedule()
  }

  #settle(batch: readonly Entry<T>[], reasons: readonly unknown[]): void {
    const broken = new Set<string>()
    batch.forEach((entry, index) => {
      const reason = reasons[index]
      if (reason !== undefined) broken.add(entry.parcel.session_id)
      this.#conclude(entry, reason)
    })
    if (broken.size > 0) {
      this.#rejectWaiting(
        ({ session_id }) => broken.has(session_id),
        new Error('an earlier group of the session failed'),
      )
    }
  }

  #rejectWaiting(concerns: (parcel: Parcel<T>) => boolean, cause: unknown): void {
    const rejected = this.#waiting.filter(({ parcel }) => concerns(parcel))
    this.#waiting = this.#waiting.filter(({ parcel }) => !concerns(parcel))
    for (const entry of rejected) this.#conclude(entry, cause)
  }

  #conclude(entry: Entry<T>, reason: unknown): void {
    this.#changes -= entry.parcel.changes
    this.#bytes -= entry.parcel.bytes
    if (reason === undefined) entry.resolve()
    else entry.reject(unavailableRefusal(reason))
    if (this.#changes <= handOverLimit.changes / 2 && this.#bytes <= handOverLimit.bytes / 2) {
      this.#pressure?.resolve()
      this.#pressure = undefined
    }
  }
}
