import { z } from 'zod'
import {
  type Endpoint,
  EventStream,
  endpoints,
  idempotencyKey,
  isMutation,
  Problem,
  refusalsOf,
} from '../protocol/protocol.ts'
import { statusOf } from './problem.ts'

type Json = Readonly<Record<string, unknown>>

/** The table of endpoints as an OpenAPI 3.1 document. */
export function openApiDocument(version: string): { openapi: '3.1.0' } & Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const [name, endpoint] of Object.entries<Endpoint>(endpoints)) {
    const path = endpoint.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operation(name, endpoint) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'quarterdeck', version },
    paths,
    components: {
      schemas: { Problem: schemaOf(Problem, 'output') },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
    security: [{}, { bearer: [] }],
  }
}

function operation(operationId: string, endpoint: Endpoint): Json {
  const { path, summary, query, body, emptyBody } = endpoint
  const names = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name)
  return {
    operationId,
    summary,
    parameters: [
      ...names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
      ...queryParameters(query),
      ...(isMutation(endpoint) ? [keyParameter] : []),
    ],
    ...(body === undefined
      ? {}
      : { requestBody: { required: emptyBody === undefined, content: json(schemaOf(body, 'input')) } }),
    responses: { ...problems(endpoint), ...successes(endpoint) },
  }
}

const keyParameter: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  description: 'A request that is repeated with its key is carried out once.',
  schema: { type: 'string', pattern: idempotencyKey.form.source },
}

function queryParameters(query: z.ZodType | undefined): readonly Json[] {
  if (!(query instanceof z.ZodObject)) return []
  return Object.entries(query.shape).map(([name, schema]) => ({ name, in: 'query', schema: schemaOf(schema, 'input') }))
}

function successes({ answers, stream }: Endpoint): Json {
  const responses = Object.entries(answers).map(([status, schema]) => {
    const content = schema === EventStream ? {} : json(schemaOf(schema, 'output'))
    const frames = stream === true ? { 'text/event-stream': { schema: { type: 'string' } } } : {}
    return [status, { description: Number(status) < 400 ? 'Success' : 'Not now', content: { ...content, ...frames } }]
  })
  return Object.fromEntries(responses)
}

/** Errors by status; the codes that share one are named in its description. */
function problems(endpoint: Endpoint): Json {
  const byStatus = Map.groupBy(refusalsOf(endpoint), (code) => statusOf(code, endpoint.method))
  const problem = json({ $ref: '#/components/schemas/Problem' })
  return Object.fromEntries(
    [...byStatus].map(([status, shared]) => [status, { description: shared.join(', '), content: problem }]),
  )
}

function json(schema: Json): Json {
  return { 'application/json': { schema } }
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}
