import { setTimeout as wait } from 'node:timers/promises'
import { unlessAborted } from '../wait.ts'

/** Milliseconds between two: what a run costs until it goes on fits in there several times. */
const gapMs = 20

/**
 * Lets those who come at once through one after another, some time apart: runs that a former process has left must neither
 * keep this one from everything else, nor ask their providers all in the same moment.
 */
export class Turnstile {
  #last: Promise<void> = Promise.resolve()

  /** Resolves when it is the caller's turn; rejects with the signal's reason. */
  async pass(signal: AbortSignal): Promise<void> {
    const turn = this.#last
    // Counted from when one has passed, so that time in which nothing went on lets nobody catch up.
    this.#last = turn.then(() => (signal.aborted ? undefined : wait(gapMs)))
    await unlessAborted(turn, signal)
  }
}
