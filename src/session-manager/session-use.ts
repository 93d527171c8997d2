/** Who works with a loaded session now, and when somebody last did. */
export class SessionUse {
  #visits = 0
  #last = performance.now()

  get isVisited(): boolean {
    return this.#visits > 0
  }

  /** Milliseconds since somebody was done with it, or since it was loaded. */
  get idleFor(): number {
    return performance.now() - this.#last
  }

  async visit<T>(work: () => Promise<T>): Promise<T> {
    this.#visits += 1
    try {
      return await work()
    } finally {
      this.#visits -= 1
      this.#last = performance.now()
    }
  }
}
