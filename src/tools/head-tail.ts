/** Text that grows without bound, of which both ends are kept. */
export class HeadTail {
  readonly #limit: number
  #head = ''
  #tail = ''
  #dropped = 0

  /** `limit` is for each end, in characters. */
  constructor(limit: number) {
    this.#limit = limit
  }

  push(text: string): void {
    const room = this.#limit - this.#head.length
    if (room > 0) this.#head += text.slice(0, room)
    if (text.length <= room) return
    this.#tail += text.slice(Math.max(room, 0))
    if (this.#tail.length > 2 * this.#limit) this.#trim()
  }

  toString(): string {
    this.#trim()
    if (this.#dropped === 0) return this.#head + this.#tail
    const note = `[${this.#dropped} characters were dropped here]`
    return `${this.#head.toWellFormed()}\n\n${note}\n\n${this.#tail.toWellFormed()}`
  }

  #trim(): void {
    const excess = this.#tail.length - this.#limit
    if (excess <= 0) return
    this.#tail = this.#tail.slice(excess)
    this.#dropped += excess
  }
}
