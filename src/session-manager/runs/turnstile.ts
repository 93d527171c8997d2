import { setTimeout as wait } from 'node:timers/promises'
import { unlessAborted } from '../wait.ts'

/**
 * Lets those who come at once through one after another, some time apart: runs that a former process has left must neither
 * keep this one from everything else, nor ask their providers all in the same moment.
 */
export class Turnstile {
  readonly #gapMs: number
  #last: Promise<void> = Promise.resolve()

  /** The time between two, in milliseconds. */
  constructor(gapMs: number) {
    this.#gapMs = gapMs
  }

  /** Resolves when it is the caller's turn; rejects with the signal's reason. Who has left again keeps nobody waiting. */
  async pass(signal: AbortSignal): Promise<void> {
    const turn = this.#last
    // Counted from when one has passed, so that time in which nothing went on lets nobody catch up.
    this.#last = turn.then(() => wait(this.#gapMs, undefined, { signal })).catch(() => {})
    await unlessAborted(turn, signal)
  }
}
