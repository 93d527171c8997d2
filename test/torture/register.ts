import type { Answer } from './wire.ts'

/** A setting: the value that was told last, and then those that were set without an answer. */
export class Register<T> {
  #values: readonly T[]
  readonly #lost: T[] = []
  #busy = false

  constructor(value: T) {
    this.#values = [value]
  }

  /** What it may be now. */
  get values(): readonly T[] {
    return this.#values
  }

  /**
   * Sets it, one request at a time: of two at once nobody could say which one stays. One without an answer may arrive later
   * than those after it.
   */
  async set(value: T, request: () => Promise<Answer>): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    const before = this.#values
    this.#values = [...before, value]
    const { outcome } = await request()
    if (outcome === 'unknown') this.#lost.push(value)
    else this.#values = outcome === 'accepted' ? [...this.#lost, value] : before
    this.#busy = false
  }

  /** Takes down what a new process shows; answers whether it may be so. */
  see(value: T): boolean {
    if (!this.#values.includes(value)) return false
    this.#values = [value]
    this.#lost.length = 0
    return true
  }
}
