import { setTimeout as wait } from 'node:timers/promises'
import { type LanguageModel, ModelFailure, type ModelPart, type ModelRequest } from '../models/models.ts'
import { RunFailure } from './run-failure.ts'

/** Attempts after the first. */
const retries = 2
const firstWait = 200
const longestWait = 2000

/**
 * Streams one answer of a model. A failure that may pass is tried again, as long as nothing of the answer was shown:
 * what a reader has seen is never said twice. Throws a `RunFailure`, or the signal's reason soon after the signal.
 */
export async function* streamWithRetries(
  model: LanguageModel,
  request: ModelRequest,
  signal: AbortSignal,
): AsyncGenerator<ModelPart, void, undefined> {
  for (let attempt = 0; ; attempt++) {
    let shown = false
    try {
      for await (const part of model.stream(request, signal)) {
        shown = true
        yield part
      }
      return
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ModelFailure)) throw error
      if (shown || attempt === retries || !mayPass(error))
        throw new RunFailure(error.code, error.message, { cause: error })
    }
    await wait(backoff(attempt), undefined, { signal })
  }
}

/** A rate limit outlasts the waits of one call, so it fails at once. */
function mayPass(failure: ModelFailure): boolean {
  return failure.retryable && failure.code !== 'rate_limited'
}

/** Milliseconds before the attempt after `attempt`, within ten per cent, so that clients cut off together come back apart. */
export function backoff(attempt: number, random: () => number = Math.random): number {
  return Math.min(firstWait * 2 ** attempt, longestWait) * (0.9 + 0.2 * random())
}
