/** A process or machine that stood still must not look like a silent one it listens to: looks are counted, not time. */
const looks = 5
/** A busy process is late too, and was there all the same. */
const leewayMs = 100

/**
 * Notices that nothing was heard for so many milliseconds in which this process was there to hear it. Its timer keeps no
 * process alive.
 */
export class Silence {
  readonly #everyMs: number
  readonly #onSilent: () => void
  readonly #timer: NodeJS.Timeout
  #silentLooks = 0
  #looked = performance.now()

  /** `onSilent` is called once for each silence. */
  constructor(milliseconds: number, onSilent: () => void) {
    this.#everyMs = milliseconds / looks
    this.#onSilent = onSilent
    this.#timer = setInterval(() => this.#look(), this.#everyMs).unref()
  }

  /** It begins anew. */
  hear(): void {
    this.#silentLooks = 0
    this.#looked = performance.now()
    this.#timer.refresh()
  }

  end(): void {
    clearInterval(this.#timer)
  }

  /** What came while the process stood still is read after a look that comes late: that one does not count. */
  #look(): void {
    const since = this.#looked
    this.#looked = performance.now()
    if (this.#looked - since > 2 * this.#everyMs + leewayMs) return
    this.#silentLooks += 1
    if (this.#silentLooks === looks) this.#onSilent()
  }
}
