import { setTimeout as wait } from 'node:timers/promises'
import {
  type LanguageModel,
  ModelFailure,
  type ModelFailureCode,
  type ModelPart,
  type ModelRequest,
} from '../models/models.ts'
import type { ModelSelector } from './model-selector.ts'
import { RunFailure } from './run-failure.ts'

const defaultRetries = 2
const defaultCooldownMs = 60_000
/** However long a provider asks to be left alone. */
const longestCooldownMs = 600_000
/** Longer than this nobody waits for a rate limit to pass. */
const longestRetryAfterMs = 60_000
const firstWaitMs = 200
const longestWaitMs = 2000

/** No other model is sent what is too much for this one: the conversation has to become shorter first. */
const tooMuch: readonly ModelFailureCode[] = ['context_exceeded', 'request_too_large', 'media_too_large']

/**
 * A model begins to answer; what follows is its own. `instead` tells that it takes over from one that failed, `again` that it
 * has failed itself before it said anything.
 */
export interface Answering {
  readonly type: 'answering'
  readonly model: LanguageModel
  readonly instead?: TakenOver
  readonly again?: true
}

export interface TakenOver {
  readonly model: LanguageModel
  /** One sentence for a person. */
  readonly reason: string
  /** The attempt that was the last, from 1, of so many that each model gets. */
  readonly attempt: number
  readonly maxAttempts: number
}

export type ChainPart = Answering | ModelPart

export interface ChainOptions {
  /** Attempts after the first for a failure that may pass; 2 unless told, -1 for none. */
  readonly retries?: number | undefined
  /** How long a fallback stays in the place of a model that failed for good; a minute unless told. */
  readonly cooldownMs?: number | undefined
  /** Milliseconds on a clock that never jumps. */
  readonly now?: () => number
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<unknown>
}

/**
 * An agent's model and those that step in for it, in order. One that fails in a way that may pass is asked again after a
 * short wait; one that fails otherwise, or takes no more requests for now, leaves the answer to the next at once, which then
 * keeps the place for a while.
 */
export class ModelChain {
  readonly #links: readonly ModelSelector[]
  readonly #maxAttempts: number
  readonly #cooldownMs: number
  readonly #now: () => number
  readonly #pause: (ms: number, signal: AbortSignal) => Promise<unknown>
  /** Who answers first until then. */
  #stay = { link: 0, until: 0 }

  constructor(primary: ModelSelector, fallbacks: readonly ModelSelector[], options: ChainOptions = {}) {
    this.#links = [primary, ...fallbacks]
    this.#maxAttempts = 1 + Math.max(0, options.retries ?? defaultRetries)
    this.#cooldownMs = options.cooldownMs ?? defaultCooldownMs
    this.#now = options.now ?? (() => performance.now())
    this.#pause = options.pause ?? ((ms, signal) => wait(ms, undefined, { signal }))
  }

  /** The model that would answer now, unless it fails. */
  get current(): LanguageModel {
    return this.#at(this.#first()).current
  }

  /** Who would answer if `current` failed, in order. */
  get others(): readonly LanguageModel[] {
    const first = this.#first()
    return this.#links.slice(1).map((_, turn) => this.#at((first + turn + 1) % this.#links.length).current)
  }

  /**
   * Streams one answer: `answering` before each attempt, then its parts, then its `finish`. What a
   * reader has seen of an answer is never said twice. Throws a `RunFailure`, or the signal's reason soon after the signal.
   */
  async *stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ChainPart, void, undefined> {
    const first = this.#first()
    let instead: TakenOver | undefined
    let restMs: number | undefined
    for (let turn = 0; ; turn++) {
      const link = (first + turn) % this.#links.length
      const isLast = turn === this.#links.length - 1
      const model = this.#at(link).select(request)
      yield { type: 'answering', model, ...(instead && { instead }) }
      const begun = () => {
        if (turn > 0 && restMs !== undefined) this.#stay = { link, until: this.#now() + restMs }
      }
      const failed = yield* this.#attempts(model, request, signal, isLast, begun)
      if (!failed) return
      if (isLast || tooMuch.includes(failed.failure.code)) throw runFailure(failed.failure)
      if (turn === 0) restMs = this.#restAfter(failed.failure)
      instead = { model, reason: failed.failure.message, attempt: failed.attempt, maxAttempts: this.#maxAttempts }
    }
  }

  /** All attempts of one model. Answers how the last one failed, or nothing when the answer is whole. */
  async *#attempts(
    model: LanguageModel,
    request: ModelRequest,
    signal: AbortSignal,
    isLast: boolean,
    begun: () => void,
  ): AsyncGenerator<ChainPart, { readonly failure: ModelFailure; readonly attempt: number } | undefined, undefined> {
    for (let attempt = 1; ; attempt++) {
      let shown = false
      let failure: ModelFailure
      try {
        for await (const part of model.stream(request, signal)) {
          if (!shown) begun()
          shown = true
          yield part
        }
        return undefined
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof ModelFailure)) throw error
        if (shown) throw runFailure(error)
        failure = error
      }
      const waitMs = attempt < this.#maxAttempts ? waitAfter(failure, attempt, isLast) : undefined
      if (waitMs === undefined) return { failure, attempt }
      await this.#pause(waitMs, signal)
      yield { type: 'answering', model, again: true }
    }
  }

  #first(): number {
    return this.#now() < this.#stay.until ? this.#stay.link : 0
  }

  #at(link: number): ModelSelector {
    const found = this.#links[link]
    if (!found) throw new Error('a chain has no such model')
    return found
  }

  /** How long a model that failed like this is left alone; `undefined` when it may be asked again at once. */
  #restAfter({ retryable, code, retryAfterMs = 0 }: ModelFailure): number | undefined {
    if (code === 'rate_limited') return Math.max(this.#cooldownMs, Math.min(retryAfterMs, longestCooldownMs))
    return retryable ? undefined : this.#cooldownMs
  }
}

/** Milliseconds until the same model is asked again; `undefined` when it is not. */
function waitAfter(
  { code, retryable, retryAfterMs }: ModelFailure,
  attempt: number,
  isLast: boolean,
): number | undefined {
  if (!retryable) return undefined
  if (code !== 'rate_limited') return backoff(attempt - 1)
  // A rate limit is waited for only where nobody else can be asked.
  return isLast && retryAfterMs !== undefined && retryAfterMs <= longestRetryAfterMs ? retryAfterMs : undefined
}

/** Milliseconds before the attempt after `attempt`, within ten per cent, so that clients cut off together come back apart. */
export function backoff(attempt: number, random: () => number = Math.random): number {
  return Math.min(firstWaitMs * 2 ** attempt, longestWaitMs) * (0.9 + 0.2 * random())
}

function runFailure(failure: ModelFailure): RunFailure {
  return new RunFailure(failure.code, failure.message, { cause: failure })
}
