import type { Runtime } from '../../runtime/runtime.ts'

interface Kept {
  readonly runtime: Runtime
  leases: number
  idleSince: number
}

/** A runtime on loan. Whoever has it gives it back. */
export interface Loan {
  readonly runtime: Runtime
  release(): Promise<void>
  /** From now on it is lent to nobody else: whoever has it may not give it back. */
  forget(): void
}

/**
 * The runtime of one session. One that is worth it stays between runs, until another takes its place, it has been idle
 * for long enough or the keeper is closed; every other is closed as soon as nobody has it.
 */
export class RuntimeKeeper {
  readonly #onDefect: (failure: unknown) => void
  #kept: Kept | undefined
  /** Loans are given one after another: opening may take a while, and must find what is kept then. */
  #last: Promise<unknown> = Promise.resolve()
  #isClosed = false

  /** `onDefect` is told of a runtime that cannot be closed, which keeps nobody waiting. */
  constructor(onDefect: (failure: unknown) => void) {
    this.#onDefect = onDefect
  }

  get isEmpty(): boolean {
    return this.#kept === undefined
  }

  /** Lends what `open` answers, which may be the runtime that is kept. */
  lend(open: (current: Runtime | undefined) => Promise<Runtime>): Promise<Loan> {
    const loan = this.#last.then(() => this.#lend(open))
    this.#last = loan.catch(() => {})
    return loan
  }

  /** Closes a runtime that nobody has had for so long. */
  async cool(milliseconds: number): Promise<void> {
    const kept = this.#kept
    if (kept === undefined || kept.leases > 0 || performance.now() - kept.idleSince < milliseconds) return
    this.#kept = undefined
    await this.#end(kept)
  }

  /** Keeps nothing from now on. What is on loan is closed when it comes back. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.cool(0)
  }

  /** Holds what is kept meanwhile: what `open` answers must not be closed under its hands. */
  async #lend(open: (current: Runtime | undefined) => Promise<Runtime>): Promise<Loan> {
    const before = this.#kept && this.#hold(this.#kept)
    try {
      const runtime = await open(before?.runtime)
      const kept = this.#kept?.runtime === runtime ? this.#kept : { runtime, leases: 0, idleSince: 0 }
      this.#kept = kept
      return this.#hold(kept)
    } finally {
      await before?.release()
    }
  }

  #hold(kept: Kept): Loan {
    let isOut = true
    kept.leases += 1
    return {
      runtime: kept.runtime,
      release: async () => {
        if (!isOut) return
        isOut = false
        await this.#takeBack(kept)
      },
      forget: () => {
        if (this.#kept === kept) this.#kept = undefined
      },
    }
  }

  async #takeBack(kept: Kept): Promise<void> {
    kept.leases -= 1
    kept.idleSince = performance.now()
    const stays = kept === this.#kept && kept.runtime.isLasting === true && !this.#isClosed
    if (kept.leases > 0 || stays) return
    if (kept === this.#kept) this.#kept = undefined
    await this.#end(kept)
  }

  async #end({ runtime }: Kept): Promise<void> {
    await runtime.close().catch(this.#onDefect)
  }
}
