import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { catalogue, type ErrorCode, endpoints, type Problem, Refusal } from '../protocol/protocol.ts'
import { requestIdHeader } from './request-id.ts'

const statuses: Readonly<Record<ErrorCode, number>> = {
  invalid_request: 400,
  invalid_working_dir: 400,
  unsupported_media_type: 400,
  request_too_large: 413,
  unauthorized: 401,
  forbidden_origin: 403,
  unknown_route: 404,
  method_not_allowed: 405,
  unknown_session: 404,
  unknown_agent: 404,
  unknown_run: 404,
  unknown_message: 404,
  unknown_request: 404,
  unknown_input: 404,
  session_busy: 409,
  session_not_running: 409,
  no_pending_request: 409,
  request_settled: 409,
  input_settled: 409,
  idempotency_mismatch: 409,
  steer_queue_full: 429,
  followup_queue_full: 429,
  too_many_runs: 429,
  session_damaged: 422,
  invalid_model: 422,
  compaction_unsupported: 422,
  model_switch_unsupported: 422,
  invalid_agent_file: 422,
  agent_not_supported: 422,
  agent_source_unavailable: 502,
  already_attached: 409,
  wait_timeout: 503,
  starting: 503,
  shutting_down: 503,
  overloaded: 503,
  store_unavailable: 503,
  internal: 500,
}

/** What goes wrong before a route is reached, by the code of the error that tells it. */
const outsideRoutes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'request_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_request',
  FST_ERR_BAD_URL: 'invalid_request',
  FST_ERR_MAX_PARAM_LENGTH: 'unknown_route',
  ECONNRESET: 'invalid_request',
}

/** The status of a refusal. What cannot be read because the session never ran is absent; what cannot be done conflicts. */
export function statusOf(code: ErrorCode, method: string): number {
  return code === 'session_not_running' && method === 'GET' ? 404 : statuses[code]
}

/** The body that tells a refusal. */
export function problemOf({ code, message, details }: Refusal): Problem {
  const { retryable } = catalogue[code]
  return { code, message, error: message, retryable, ...(details === undefined ? {} : { details: [...details] }) }
}

/** Answers with whatever was thrown. A defect is logged here, once; its text stays in the log. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const refusal = toRefusal(error)
  if (refusal === undefined) request.log.error({ ...placeOf(request), err: error }, 'a request met a defect')
  const { code, retryAfter } = refusal ?? { code: 'internal', retryAfter: undefined }
  const status = statusOf(code, request.method)
  const wait = retryAfter ?? (status === 429 ? 1 : undefined)
  if (wait !== undefined) reply.header('retry-after', String(wait))
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  const body =
    refusal === undefined ? { ...problemOf(new Refusal('internal')), request_id: request.id } : problemOf(refusal)
  reply.header(requestIdHeader, request.id).code(status).type('application/json').send(JSON.stringify(body))
}

/** Gives every error of the application one shape, also those of requests that meet no route. */
export function shapeErrors(app: FastifyInstance): void {
  app.setErrorHandler(sendProblem)
  app.setNotFoundHandler(refuseRoute)
}

/** Refuses a request that meets no route. */
export function refuseRoute(request: FastifyRequest, reply: FastifyReply): never {
  const methods = methodsAt(request.url)
  if (methods.length === 0) throw new Refusal('unknown_route')
  reply.header('allow', methods.join(', '))
  throw new Refusal('method_not_allowed')
}

/** The session is named by its id; what else a client has sent stays out of the log. */
function placeOf({ method, routeOptions, params }: FastifyRequest): object {
  const { id } = WithId.safeParse(params).data ?? {}
  return { route: `${method} ${routeOptions.url ?? ''}`, ...(id !== undefined && { session_id: id }) }
}

const WithId = z.object({ id: z.string() })

function toRefusal(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const code = outsideRoutes[String(error.code)]
  return code === undefined ? undefined : new Refusal(code, undefined, { cause: error })
}

const paths = Object.values(endpoints).map(({ method, path }) => ({
  method,
  pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/]+')}$`),
}))

function methodsAt(url: string): readonly string[] {
  const [path = ''] = url.split('?')
  return paths.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)
}
