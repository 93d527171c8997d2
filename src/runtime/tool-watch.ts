import { Silence } from '../models/models.ts'
import type { ToolCallResult } from '../protocol/protocol.ts'
import { type CallContext, CallFailure, unlessAborted } from '../tools/tools.ts'

/**
 * Carries out a tool call that may be silent for so many milliseconds at a time: every output is a sign of life, and the
 * time in which a person is asked does not count. One that says nothing for longer is ended, and the model reads that it
 * is unknown whether it took effect. `Infinity` is never. It may take `leavingMs` to leave and to take its processes along.
 */
export async function watchedCall(
  silenceMs: number,
  context: CallContext,
  call: (context: CallContext) => Promise<ToolCallResult>,
  leavingMs = 5000,
): Promise<ToolCallResult> {
  if (!Number.isFinite(silenceMs)) return call(context)
  const watch = new ToolWatch(silenceMs, leavingMs)
  const result = call({
    ...context,
    signal: AbortSignal.any([context.signal, watch.signal]),
    output: (chunk) => {
      watch.hear()
      context.output(chunk)
    },
    elicit: (question) => watch.hold(context.elicit(question)),
  })
  try {
    return await unlessAborted(result, watch.givenUp)
  } catch (failure) {
    if (!watch.signal.aborted || context.signal.aborted) throw failure
    return silent(silenceMs)
  } finally {
    watch.end()
  }
}

/** What the model reads of a call that was ended. */
function silent(silenceMs: number): ToolCallResult {
  const seconds = silenceMs / 1000
  const output = `The call was ended: it had neither said anything nor come to an end for ${seconds} seconds. It is unknown whether it took effect.`
  return { output, isError: true }
}

/** Notices that a call says nothing. */
class ToolWatch {
  readonly #silence: Silence
  readonly #leavingMs: number
  readonly #silent = new AbortController()
  readonly #givenUp = new AbortController()
  #holds = 0
  #leaving: NodeJS.Timeout | undefined

  constructor(silenceMs: number, leavingMs: number) {
    this.#silence = new Silence(silenceMs, () => this.#onSilent())
    this.#leavingMs = leavingMs
  }

  /** Aborts when the call has said nothing for too long. */
  get signal(): AbortSignal {
    return this.#silent.signal
  }

  /** Aborts when it has not left then. */
  get givenUp(): AbortSignal {
    return this.#givenUp.signal
  }

  hear(): void {
    this.#silence.hear()
  }

  /** While this is waited for nobody expects the call to say anything. */
  async hold<T>(wait: Promise<T>): Promise<T> {
    this.#holds += 1
    try {
      return await wait
    } finally {
      this.#holds -= 1
      this.hear()
    }
  }

  end(): void {
    this.#silence.end()
    clearTimeout(this.#leaving)
  }

  #onSilent(): void {
    if (this.#holds > 0) {
      this.hear()
      return
    }
    const reason = new CallFailure('the call was silent for too long')
    this.#silence.end()
    this.#silent.abort(reason)
    this.#leaving = setTimeout(() => this.#givenUp.abort(reason), this.#leavingMs).unref()
  }
}
