import { type ForeignEvent, type InputMessage, Refusal } from '../../protocol/protocol.ts'
import type { Runtime } from '../../runtime/runtime.ts'

/** Takes a follow-up as user input. Throws when it cannot, and then the follow-up was not accepted. */
export type FollowUpInjector = (message: InputMessage) => void | Promise<void>

/** Events of a session that somebody else runs. Ends when its session ends, or when the signal says so. */
export type EventSource = (signal: AbortSignal) => AsyncIterable<ForeignEvent>

/** What a program has attached to a session. */
export interface Attachment {
  /** Aborts when the session is deleted or the manager closes. */
  readonly signal: AbortSignal
  detach(): void
}

/** What the embedding program has attached to one session: a runtime, an event source, an injector; one of each. */
export class Attachments {
  readonly #gone = new AbortController()
  readonly #attached = Promise.withResolvers<void>()
  runtime: Runtime | undefined
  injector: FollowUpInjector | undefined
  #source: Promise<void> | undefined

  get isEmpty(): boolean {
    return this.runtime === undefined && this.injector === undefined && this.#source === undefined
  }

  get hasSource(): boolean {
    return this.#source !== undefined
  }

  /** Resolves when a runtime has been attached. */
  get attached(): Promise<void> {
    return this.#attached.promise
  }

  attachRuntime(runtime: Runtime): Attachment {
    if (this.runtime !== undefined) throw new Refusal('already_attached', 'The session has a runtime already')
    this.runtime = runtime
    this.#attached.resolve()
    return {
      signal: this.#gone.signal,
      detach: () => {
        if (this.runtime === runtime) this.runtime = undefined
      },
    }
  }

  registerInjector(injector: FollowUpInjector): Attachment {
    if (this.injector !== undefined) throw new Refusal('already_attached', 'The session has an injector already')
    this.injector = injector
    return {
      signal: this.#gone.signal,
      detach: () => {
        if (this.injector === injector) this.injector = undefined
      },
    }
  }

  /** Pumps a source until it ends, as fast as `onEvent` takes it; `onEnd` is told why when it ended by itself. */
  registerSource(
    source: EventSource,
    onEvent: (event: ForeignEvent) => Promise<void> | undefined,
    onEnd: (failure: unknown) => void,
  ): Attachment {
    if (this.#source !== undefined) throw new Refusal('already_attached', 'The session has an event source already')
    const stop = new AbortController()
    const signal = AbortSignal.any([this.#gone.signal, stop.signal])
    this.#source = pump(source(signal), onEvent, signal)
      .then(
        () => undefined,
        (failure: unknown) => failure,
      )
      .then((failure) => {
        this.#source = undefined
        if (!signal.aborted) onEnd(failure)
      })
    return { signal: this.#gone.signal, detach: () => stop.abort() }
  }

  /** Tells everything that is attached that the session is gone. */
  end(): void {
    this.#gone.abort()
  }
}

async function pump(
  events: AsyncIterable<ForeignEvent>,
  onEvent: (event: ForeignEvent) => Promise<void> | undefined,
  signal: AbortSignal,
): Promise<void> {
  for await (const event of events) {
    if (signal.aborted) return
    await onEvent(event)
  }
}
