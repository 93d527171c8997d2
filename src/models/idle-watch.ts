/** Waits for things one after the other and gives each a limited time. */
export class IdleWatch {
  /** Something did not come in time. */
  expired = false
  readonly #limitMs: number
  readonly #onIdle: () => void

  constructor(limitMs: number, onIdle: () => void) {
    this.#limitMs = limitMs
    this.#onIdle = onIdle
  }

  /** The time runs only while it is waited: a reader that takes long over what has come is not the sender's silence. */
  async within<T>(work: PromiseLike<T>): Promise<T> {
    const timer = setTimeout(() => {
      this.expired = true
      this.#onIdle()
    }, this.#limitMs)
    try {
      return await work
    } finally {
      clearTimeout(timer)
    }
  }
}
