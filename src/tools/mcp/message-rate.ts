/** Far more than any server has to say, and far less than would keep us from everything else. */
const windowMs = 10_000
const limit = 20_000

/** Counts messages and says when there are too many in a short time. */
export class MessageRate {
  #since = performance.now()
  #count = 0

  /** Whether one more is one too many. */
  exceeds(): boolean {
    const now = performance.now()
    if (now - this.#since > windowMs) {
      this.#since = now
      this.#count = 0
    }
    this.#count += 1
    return this.#count > limit
  }
}
