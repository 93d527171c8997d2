import { z } from 'zod'
import type { ErrorCode } from '../errors.ts'

/** One route of the wire: what it takes, what it answers by status, and what it may refuse besides {@link everywhere}. */
export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** With `:name` for parameters. */
  readonly path: string
  /** One sentence for documents. */
  readonly summary: string
  readonly query?: z.ZodType
  readonly body?: z.ZodType
  /** What an empty body stands for; without it an empty body is malformed. */
  readonly emptyBody?: unknown
  /** The body is JSON whatever its content type says, as the ancestor reads it. */
  readonly anyContentType?: true
  /** Changes nothing, though its method is not `GET`: its request is too long for a URL. */
  readonly readsOnly?: true
  /** Answers 200 with server-sent events. */
  readonly stream?: true
  readonly answers: Readonly<Record<number, z.ZodType>>
  readonly refuses: readonly ErrorCode[]
}

/** What every route under `/api` may refuse. */
export const everywhere = [
  'unauthorized',
  'forbidden_origin',
  'starting',
  'shutting_down',
  'store_unavailable',
  'internal',
] as const satisfies readonly ErrorCode[]

/** What every route with a body may refuse besides. */
export const withBody = [
  'invalid_request',
  'unsupported_media_type',
  'request_too_large',
  'overloaded',
] as const satisfies readonly ErrorCode[]

/** What every route about one session may refuse besides, but its deletion. */
export const ofSession = ['session_damaged'] as const satisfies readonly ErrorCode[]

/** What every route may refuse besides that changes something, and so takes an `Idempotency-Key`. */
export const withKey = ['invalid_request', 'idempotency_mismatch'] as const satisfies readonly ErrorCode[]

/** Whether a route changes something: then it can be repeated with an `Idempotency-Key`. */
export function isMutation({ method, readsOnly }: Endpoint): boolean {
  return method !== 'GET' && readsOnly !== true
}

/** Everything that an endpoint may refuse. */
export function refusalsOf(endpoint: Endpoint): ReadonlySet<ErrorCode> {
  const { method, path, body, refuses } = endpoint
  const isDeletion = method === 'DELETE' && path.endsWith('/:id')
  return new Set([
    ...(path.startsWith('/api/') ? everywhere : []),
    ...(path.startsWith('/api/sessions/:id') && !isDeletion ? ofSession : []),
    ...(body === undefined ? [] : withBody),
    ...(isMutation(endpoint) ? withKey : []),
    ...refuses,
  ])
}

/** The header that a client names a request by, and what it is made of. */
export const idempotencyKey = { header: 'idempotency-key', form: /^[\x21-\x7e]{1,255}$/ } as const

/** Parameters of queries that say how to wait for an answer, and not what is to be done: a repeat may change them. */
export const waitParameters: ReadonlySet<string> = new Set(['wait', 'timeout', 'on_disconnect'])

/** Frames of server-sent events; see the events of a session. */
export const EventStream = z.string().describe('text/event-stream')

export const Told = z.object({ message: z.string() })
export const Updated = z.object({ status: z.literal('updated') })

export const endpoint = <const E extends Endpoint>(definition: E): E => definition
