/** Measures work, without the time in which people or other agents are waited for. */
export class Stopwatch {
  readonly #now: () => number
  #since: number
  #held = 0
  #heldSince = 0
  #holds = 0

  /** `now`: milliseconds on a clock that never jumps. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#since = now()
  }

  /** Does not count while this is waited for; several waits at once count as one. */
  async hold<T>(wait: Promise<T>): Promise<T> {
    if (this.#holds++ === 0) this.#heldSince = this.#now()
    try {
      return await wait
    } finally {
      if (--this.#holds === 0) this.#held += this.#now() - this.#heldSince
    }
  }

  /** Seconds of work since the last lap. */
  lap(): number {
    const now = this.#now()
    if (this.#holds > 0) {
      this.#held += now - this.#heldSince
      this.#heldSince = now
    }
    const seconds = Math.round(Math.max(0, now - this.#since - this.#held)) / 1000
    this.#since = now
    this.#held = 0
    return seconds
  }
}
