import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { type Endpoint, type EndpointName, type endpoints, Refusal } from '../protocol/protocol.ts'
import { detailsOf } from './details.ts'
import type { Mutation, Mutations } from './mutation.ts'
import { withoutNulls } from './nulls.ts'
import { EventStreamBody, type EventStreams } from './sse.ts'

type ParamName<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParamName<`/${Rest}`>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never

type Parsed<E, Part extends 'query' | 'body'> =
  E extends Readonly<Record<Part, infer Schema extends z.ZodType>> ? z.output<Schema> : undefined

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T

/** What a handler gets: the request, checked by its endpoint. */
export interface Call<E extends Endpoint> {
  readonly params: Readonly<Record<ParamName<E['path']>, string>>
  readonly query: Parsed<E, 'query'>
  readonly body: Parsed<E, 'body'>
  readonly headers: IncomingHttpHeaders
  /** Path and query as they were sent. */
  readonly url: string
  /** For a status that is not the endpoint's first, and for headers. */
  readonly reply: FastifyReply
  /** Aborts when the client has left or the stream must end. */
  readonly signal: E extends { readonly stream: true } ? AbortSignal : undefined
}

/** What a handler answers: the body as the endpoint's table says, or a stream. */
export type Answer<E extends Endpoint> =
  | DeepReadonly<z.output<E['answers'][keyof E['answers'] & number]>>
  | (E extends { readonly stream: true } ? EventStreamBody : never)

/** Parses nothing, catches nothing: it calls and returns. */
export type Handler<E extends Endpoint> = (call: Call<E>) => Answer<E> | Promise<Answer<E>>

/** What changes something is a {@link Mutation}, so that it can be repeated with an idempotency key. */
export type HandlerOf<E extends Endpoint> = { read: Handler<E>; mutation: Mutation<E> }[KindOf<E>]

type KindOf<E> = E extends { readonly method: 'GET' } | { readonly readsOnly: true } ? 'read' : 'mutation'

export type Handlers = { readonly [Name in EndpointName]: HandlerOf<(typeof endpoints)[Name]> }

/** Ties an endpoint of the table to its handler. The first status of the table is the one that is answered by itself. */
export function addRoute<E extends Endpoint>(
  app: FastifyInstance,
  { streams, mutations }: { readonly streams: EventStreams; readonly mutations: Mutations },
  endpoint: E,
  handle: Handler<E> | Mutation<E>,
): void {
  const { method, path, stream } = endpoint
  const [status = 200] = Object.keys(endpoint.answers).map(Number)
  app.route({
    method,
    url: path,
    config: { endpoint },
    ...(stream === true ? { sse: { kind: 'manual', heartbeat: false } } : {}),
    handler: async (request, reply) => {
      reply.code(status)
      const open = stream === true ? streams.open(reply) : undefined
      const call = callOf(endpoint, request, reply, open?.signal)
      const answer = await (typeof handle === 'function'
        ? handle(call)
        : mutations.carryOut(endpoint, handle, call, request))
      if (answer instanceof EventStreamBody) await open?.send(answer)
      else reply.type('application/json').send(JSON.stringify(answer))
    },
  })
}

/** Data enters here: what the endpoint's schemas have checked has the types that they say. */
function callOf<E extends Endpoint>(
  { query, body, emptyBody }: E,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal | undefined,
): Call<E> {
  return {
    params: request.params,
    query: query === undefined ? undefined : parse(query, 'query', request.query),
    body: body === undefined ? undefined : parse(body, 'body', withoutNulls(request.body ?? emptyBody)),
    headers: request.headers,
    url: request.url,
    reply,
    signal,
  } as Call<E>
}

function parse(schema: z.ZodType, part: 'query' | 'body', value: unknown): unknown {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new Refusal('invalid_request', undefined, { details: detailsOf(parsed.error, part) })
}
