/** Measures work, without the time in which people or other agents are waited for. */
export class Stopwatch {
  #since = performance.now()
  #held = 0
  #heldSince = 0
  #holds = 0

  /** Does not count while this is waited for; several waits at once count as one. */
  async hold<T>(wait: Promise<T>): Promise<T> {
    if (this.#holds++ === 0) this.#heldSince = performance.now()
    try {
      return await wait
    } finally {
      if (--this.#holds === 0) this.#held += performance.now() - this.#heldSince
    }
  }

  /** Seconds of work since the last lap. */
  lap(): number {
    const now = performance.now()
    const seconds = Math.round(Math.max(0, now - this.#since - this.#held)) / 1000
    this.#since = now
    this.#held = 0
    return seconds
  }
}
