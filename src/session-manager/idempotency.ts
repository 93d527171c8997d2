import { createHash } from 'node:crypto'
import type { KeyRecord, Store } from '../store/store.ts'

/**
 * The idempotency keys of one scope: what was done under a key is not done again. A key is stored in the commit of its
 * effect; an effect that fails leaves its key free.
 */
export class IdempotencyKeys {
  readonly #scope: string
  readonly #store: Store
  readonly #underWay = new Map<string, Promise<unknown>>()

  constructor(scope: string, store: Store) {
    this.#scope = scope
    this.#store = store
  }

  /**
   * Has an effect once: at once when nobody uses the key, else after whoever does. `undefined` when it was had before.
   */
  async once<T>(key: string, effect: () => Promise<T>): Promise<T | undefined> {
    for (let first = this.#underWay.get(key); first !== undefined; first = this.#underWay.get(key)) {
      await first.catch(() => {})
    }
    if (this.#store.key(this.#scope, key) !== undefined) return undefined
    const had = effect()
    this.#underWay.set(key, had)
    try {
      return await had
    } finally {
      this.#underWay.delete(key)
    }
  }

  /** The record that goes into the commit of the effect. */
  record(key: string, payload: unknown, answer: { readonly status: number; readonly body: unknown }): KeyRecord {
    return {
      scope: this.#scope,
      key,
      fingerprint: createHash('sha256').update(JSON.stringify(payload)).digest('hex'),
      status: answer.status,
      body: JSON.stringify(answer.body),
      created_at: new Date().toISOString(),
    }
  }
}
