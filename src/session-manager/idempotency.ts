import { createHash } from 'node:crypto'
import type { KeyRecord, Store } from '../store/store.ts'

/**
 * The idempotency keys of one scope. A key is reserved in the breath that decides, and stored in the commit of its effect;
 * one whose effect failed is free again.
 */
export class IdempotencyKeys {
  readonly #scope: string
  readonly #store: Store
  readonly #reserved = new Set<string>()

  constructor(scope: string, store: Store) {
    this.#scope = scope
    this.#store = store
  }

  /** True when the key was free; it is taken from now on. */
  reserve(key: string): boolean {
    if (this.#reserved.has(key) || this.#store.key(this.#scope, key) !== undefined) return false
    this.#reserved.add(key)
    return true
  }

  /** Ends a reservation: the effect is committed, and its key with it, or it failed, and the key is free. */
  free(key: string): void {
    this.#reserved.delete(key)
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
