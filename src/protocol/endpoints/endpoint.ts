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

/** Frames of server-sent events; see the events of a session. */
export const EventStream = z.string().describe('text/event-stream')

export const Told = z.object({ message: z.string() })
export const Updated = z.object({ status: z.literal('updated') })

export const endpoint = <const E extends Endpoint>(definition: E): E => definition
