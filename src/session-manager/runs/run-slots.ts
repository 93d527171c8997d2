/** How many runs may go on at once, over all sessions. Those who wait get a slot in the order they asked. */
export class RunSlots {
  readonly #limit: number
  #taken = 0
  readonly #waiting: (() => void)[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Takes a slot if one is free and nobody waits for it. */
  tryTake(): boolean {
    if (this.#taken >= this.#limit || this.#waiting.length > 0) return false
    this.#taken += 1
    return true
  }

  /** Resolves with a slot in hand. */
  async take(): Promise<void> {
    if (this.tryTake()) return
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Takes a slot beyond the limit: a task of a run that has one must not wait for it. */
  takeBeyond(): void {
    this.#taken += 1
  }

  /** Gives a slot back, or to the next who waits. */
  release(): void {
    const next = this.#taken > this.#limit ? undefined : this.#waiting.shift()
    if (next === undefined) this.#taken -= 1
    else next()
  }
}
