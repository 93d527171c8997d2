/** As the `error` event tells it. */
export type ModelFailureCode =
  | 'model_error'
  | 'rate_limited'
  | 'context_exceeded'
  | 'request_too_large'
  | 'media_too_large'

/**
 * What happened, finer than the code: `unreachable` no connection, `cut` the answer ended without its end, `idle` nothing
 * came for too long, `malformed` what came makes no sense, `rejected` the provider takes no such request, `unsupported`
 * the provider cannot be sent what the history holds, `too_large` the request does not fit, `scripted` the script says so.
 */
export type ModelFailureReason =
  | 'missing_key'
  | 'unauthorized'
  | 'quota_exceeded'
  | 'rate_limited'
  | 'unknown_model'
  | 'too_large'
  | 'rejected'
  | 'unsupported'
  | 'server_error'
  | 'unreachable'
  | 'cut'
  | 'idle'
  | 'malformed'
  | 'scripted'

type Facts = {
  readonly code?: ModelFailureCode
  readonly reason: ModelFailureReason
  readonly retryable?: boolean
  readonly retryAfterMs?: number | undefined
  readonly status?: number | undefined
}

/** A model call without a whole answer. `message` is one sentence for a person and holds no secret. */
export class ModelFailure extends Error {
  readonly code: ModelFailureCode
  readonly reason: ModelFailureReason
  /** The same call to the same model can succeed later. */
  readonly retryable: boolean
  /** What the provider asked to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined
  /** The HTTP status, where there was one. */
  readonly status: number | undefined

  constructor(message: string, facts: Facts) {
    super(message)
    this.name = 'ModelFailure'
    this.code = facts.code ?? 'model_error'
    this.reason = facts.reason
    this.retryable = facts.retryable ?? false
    this.retryAfterMs = facts.retryAfterMs
    this.status = facts.status
  }
}
