import { APICallError, InvalidArgumentError, UnsupportedFunctionalityError } from '@ai-sdk/provider'
import { z } from 'zod'
import { ModelFailure, type ModelFailureCode, type ModelFailureReason } from './model-failure.ts'
import { callReport, type Report, streamReport } from './provider-report.ts'

/** Whose call failed. `secret` is what must not be told. */
type Caller = {
  readonly provider: string
  readonly model: string
  readonly secret: string | undefined
  /** The answer had begun. */
  readonly answering: boolean
}

type Verdict = {
  readonly code?: ModelFailureCode
  readonly reason: ModelFailureReason
  readonly retryable?: boolean
  readonly says: string
}

const unauthorized: Verdict = { reason: 'unauthorized', says: 'does not accept the API key' }
const rateLimited: Verdict = {
  code: 'rate_limited',
  reason: 'rate_limited',
  retryable: true,
  says: 'takes no more requests for now',
}
const outOfQuota: Verdict = {
  code: 'rate_limited',
  reason: 'quota_exceeded',
  says: 'has no quota left for this API key',
}
const contextExceeded: Verdict = {
  code: 'context_exceeded',
  reason: 'too_large',
  says: 'cannot take that much text in one conversation',
}
const requestTooLarge: Verdict = { code: 'request_too_large', reason: 'too_large', says: 'found the request too large' }
const mediaTooLarge: Verdict = { code: 'media_too_large', reason: 'too_large', says: 'found an attachment too large' }
const unknownModel: Verdict = { reason: 'unknown_model', says: 'does not know the model' }
const serverError: Verdict = { reason: 'server_error', retryable: true, says: 'failed' }
const rejected: Verdict = { reason: 'rejected', says: 'rejected the request' }

/** Error codes that tell more than the status does. */
const byCode: Readonly<Record<string, Verdict>> = {
  context_length_exceeded: contextExceeded,
  string_above_max_length: contextExceeded,
  insufficient_quota: outOfQuota,
  billing_error: outOfQuota,
  invalid_api_key: unauthorized,
  API_KEY_INVALID: unauthorized,
  request_too_large: requestTooLarge,
  model_not_found: unknownModel,
}

/** What an error in a stream calls itself, where no status comes with it. */
const byType: Readonly<Record<string, Verdict>> = {
  rate_limit_exceeded: rateLimited,
  rate_limit_error: rateLimited,
  invalid_request_error: rejected,
}

const byStatus: Readonly<Record<number, Verdict>> = {
  401: unauthorized,
  402: outOfQuota,
  403: unauthorized,
  404: unknownModel,
  408: serverError,
  409: serverError,
  413: requestTooLarge,
  429: rateLimited,
}

/**
 * Anthropic, Google and many compatible servers answer a plain 400 when the context or an image is too large, and say
 * which only in the text. Read for status 400 and 422 alone, and only where neither code nor type says more.
 */
const byText: readonly (readonly [RegExp, Verdict])[] = [
  [/prompt is too long|input token count .* exceeds|maximum context length|context (window|length)/i, contextExceeded],
  [/too large for model with \d+ maximum context/i, contextExceeded],
  [/image .*(exceeds|too large)|pdf .*(exceeds|too large|pages)/i, mediaTooLarge],
]

/** Turns whatever a provider package threw into a `ModelFailure`. */
export function providerFailure(error: unknown, caller: Caller): ModelFailure {
  if (error instanceof ModelFailure) return error
  if (APICallError.isInstance(error)) return callFailure(error, caller)
  if (UnsupportedFunctionalityError.isInstance(error)) {
    const text = `${named(caller)} cannot be sent something the conversation holds (${error.functionality}).`
    return new ModelFailure(text, { reason: 'unsupported' })
  }
  if (InvalidArgumentError.isInstance(error)) {
    return new ModelFailure(`${named(caller)} does not take the provider_opts it is given.`, { reason: 'rejected' })
  }
  const report = streamReport(error)
  if (report) return judged(report, caller)
  if (Endless.safeParse(error).success) return cut(caller)
  return new ModelFailure(`${named(caller)} sent an answer that makes no sense.`, {
    reason: 'malformed',
    retryable: true,
  })
}

function judged(report: Report, caller: Caller): ModelFailure {
  const verdict = verdictOf(report)
  const status = report.status === undefined ? '' : ` (${report.status})`
  // What a provider says about a wrong key may repeat it.
  const detail = verdict.reason === 'unauthorized' ? '' : detailOf(report.text, caller)
  return new ModelFailure(`${named(caller)} ${verdict.says}${status}${detail || '.'}`, {
    ...verdict,
    retryAfterMs: report.retryAfterMs,
    status: report.status,
  })
}

function verdictOf({ status, code, type, text }: Report): Verdict {
  const precise = lookUp(byCode, code) ?? lookUp(byCode, type)
  if (precise) return precise
  if (status === undefined) return lookUp(byType, code) ?? lookUp(byType, type) ?? serverError
  if (status >= 500) return serverError
  const told = status === 400 || status === 422 ? byText.find(([pattern]) => pattern.test(text ?? '')) : undefined
  return told?.[1] ?? byStatus[status] ?? rejected
}

function lookUp(table: Readonly<Record<string, Verdict>>, name: string | undefined): Verdict | undefined {
  return name !== undefined && Object.hasOwn(table, name) ? table[name] : undefined
}

/** No status: there was no connection. A good status: the connection broke while the answer was read. */
function callFailure(error: APICallError, caller: Caller): ModelFailure {
  const { statusCode, url } = error
  if (statusCode !== undefined && statusCode >= 400) return judged(callReport(error), caller)
  if (statusCode !== undefined || caller.answering) return cut(caller)
  const host = URL.canParse(url) ? ` at ${new URL(url).host}` : ''
  return new ModelFailure(`${named(caller)} cannot be reached${host}.`, { reason: 'unreachable', retryable: true })
}

function cut(caller: Caller): ModelFailure {
  return new ModelFailure(`${named(caller)} broke off in the middle of its answer.`, { reason: 'cut', retryable: true })
}

function named({ provider, model }: Caller): string {
  return `The model ${provider}/${model}`
}

/** One line of what the provider says, without the key and without anything that looks like one. */
function detailOf(text: string | undefined, { secret }: Caller): string {
  if (!text) return ''
  // A key of a few letters guards nothing, and would be found inside words.
  const open = secret && secret.length >= 8 ? text.replaceAll(secret, '***') : text
  const line = open
    .replace(/\b(sk|key|gsk|xai|hf|AIza)[-_]?[\w*-]{12,}/g, '***')
    .replace(/\s+/g, ' ')
    .trim()
  if (line === '') return ''
  const short = line.length > 300 ? `${line.slice(0, 300)}…` : line
  return /[.!?…]$/.test(short) ? `: ${short}` : `: ${short}.`
}

/** How the package for compatible servers tells a stream without its end: its other errors of that name hold data. */
const Endless = z.object({ name: z.literal('AI_InvalidResponseDataError'), data: z.undefined() })
