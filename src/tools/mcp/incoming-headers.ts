import type { RequestHeaders } from '../tools.ts'

/** The headers of the API request that a toolset works for now. They are forgotten when its run is over. */
export class IncomingHeaders {
  #run: AbortSignal | undefined
  #headers: RequestHeaders = {}

  get now(): RequestHeaders {
    return this.#headers
  }

  /** From now on these, until the signal aborts. */
  take(headers: RequestHeaders, run: AbortSignal): void {
    this.#run = run
    this.#headers = headers
    run.addEventListener('abort', () => this.#forget(run), { once: true })
  }

  /** The end of a run must not take the headers of the next one along. */
  #forget(run: AbortSignal): void {
    if (this.#run === run) this.#headers = {}
  }
}
