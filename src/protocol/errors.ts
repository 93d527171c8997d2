import { z } from 'zod'

/**
 * Everything the server may refuse, by code. `retryable` says whether the same request can succeed later without
 * being changed. The status that goes with a code is the server's business (`server/problem.ts`).
 */
export const catalogue = {
  invalid_request: { title: 'The request is malformed', retryable: false },
  invalid_working_dir: { title: 'The working directory cannot be used', retryable: false },
  unsupported_media_type: {
    title: 'The body must be declared as JSON, with Content-Type: application/json',
    retryable: false,
  },
  request_too_large: { title: 'The body is larger than the server accepts', retryable: false },
  unauthorized: { title: 'A valid bearer token is required', retryable: false },
  forbidden_origin: { title: 'The request comes from a host or origin that is not allowed', retryable: false },
  unknown_route: { title: 'There is no such route', retryable: false },
  method_not_allowed: { title: 'The route does not take this method', retryable: false },
  unknown_session: { title: 'There is no such session', retryable: false },
  unknown_agent: { title: 'There is no such agent', retryable: false },
  unknown_run: { title: 'The session has no such run', retryable: false },
  unknown_message: { title: 'The session has no such message', retryable: false },
  unknown_request: { title: 'The session has no such request', retryable: false },
  unknown_input: { title: 'The session has no such input', retryable: false },
  session_damaged: { title: 'Stored data of the session cannot be read', retryable: false },
  session_busy: { title: 'The session is busy with a run', retryable: true },
  session_not_running: { title: 'The session has never run', retryable: false },
  no_pending_request: { title: 'Nothing waits for an answer', retryable: false },
  request_settled: { title: 'The request has been answered already', retryable: false },
  input_settled: { title: 'The input does not wait any more', retryable: false },
  idempotency_mismatch: { title: 'The idempotency key was used for another request', retryable: false },
  steer_queue_full: { title: 'The steer queue is full', retryable: true },
  followup_queue_full: { title: 'The follow-up queue is full', retryable: true },
  too_many_runs: { title: 'As many runs go on as the server allows', retryable: true },
  invalid_model: { title: 'The model reference cannot be resolved', retryable: false },
  compaction_unsupported: { title: 'The history of the session cannot be compacted', retryable: false },
  model_switch_unsupported: { title: 'The session cannot switch models', retryable: false },
  invalid_agent_file: { title: 'The agent file cannot be used', retryable: false },
  agent_not_supported: { title: 'The agent uses something that is not supported yet', retryable: false },
  agent_source_unavailable: { title: 'The agent source cannot be read', retryable: true },
  already_attached: { title: 'The session has a runtime or an event source already', retryable: false },
  wait_timeout: { title: 'What was waited for did not happen in time', retryable: true },
  starting: { title: 'The server is starting', retryable: true },
  shutting_down: { title: 'The server is shutting down', retryable: true },
  overloaded: { title: 'The server has too much to write', retryable: true },
  store_unavailable: { title: 'The store cannot commit', retryable: true },
  internal: { title: 'The server has a defect', retryable: false },
} as const satisfies Record<string, { title: string; retryable: boolean }>

export type ErrorCode = keyof typeof catalogue

export const errorCodes = Object.keys(catalogue) as readonly ErrorCode[]

/** One thing that is wrong with a request: where, and what. */
export const ErrorDetail = z.object({ path: z.string(), message: z.string() })
export type ErrorDetail = z.infer<typeof ErrorDetail>

/** The body of every error answer. `error` repeats `message` for clients of the ancestor. */
export const Problem = z.object({
  code: z.enum(errorCodes as [ErrorCode, ...ErrorCode[]]),
  message: z.string(),
  error: z.string(),
  retryable: z.boolean(),
  details: z.array(ErrorDetail).optional(),
  request_id: z.string().optional(),
})
export type Problem = z.infer<typeof Problem>

/** The caller asked for something that cannot be done, and may do something about it. */
export class Refusal extends Error {
  readonly code: ErrorCode
  readonly details: readonly ErrorDetail[] | undefined
  /** Seconds after which it is worth trying again. */
  readonly retryAfter: number | undefined

  /** Without a message it says each detail, or else the title of the code. */
  constructor(
    code: ErrorCode,
    message?: string,
    more: { details?: readonly ErrorDetail[]; retryAfter?: number; cause?: unknown } = {},
  ) {
    const { details, cause } = more
    const sentence = message ?? details?.map((one) => `${one.path}: ${one.message}`).join('; ')
    super(sentence ?? catalogue[code].title, cause === undefined ? undefined : { cause })
    this.name = 'Refusal'
    this.code = code
    this.details = details
    this.retryAfter = more.retryAfter
  }
}
