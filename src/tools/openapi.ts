import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { NetFailure, type Reach, readBody } from '../net/net.ts'
import type { ToolAnnotations } from '../protocol/protocol.ts'
import { isFields, readFields } from './arguments.ts'
import type { BuiltInTool } from './built-in-tool.ts'
import { BuiltInToolset } from './built-in-toolset.ts'
import { http, httpUrl, lowered, pathSegment } from './http-client.ts'
import { callHttp } from './http-tool.ts'
import { OpenApiDocument, type Operation, type Parameter } from './openapi-document.ts'
import { placeFor } from './place.ts'
import { CallFailure, resultOf } from './result.ts'
import { sizeOfFile } from './text-file.ts'
import type { ToolEnvironment, Toolset } from './tools.ts'
import type { ToolsetDefinition } from './toolset-definition.ts'
import { ToolsetFailure } from './toolset-failure.ts'
import { headersToSend } from './variables.ts'

type Fields = Readonly<Record<string, unknown>>
type Headers = Readonly<Record<string, string>>

const maxDocumentBytes = 10 * 1024 * 1024
const maxOperations = 500
const maxDescription = 1000
const defaultSeconds = 30
const reading: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

interface Settings {
  readonly base: string | undefined
  readonly headers: Headers
  readonly seconds: number
  readonly allowPrivate: boolean
}

/** One tool for each operation of an API that an OpenAPI document describes. */
export function openapi(definition: ToolsetDefinition, environment: ToolEnvironment): Toolset {
  const { url = '', headers = {}, timeout, allow_private_ips: allowPrivate = false } = definition
  const isRemote = /^https?:\/\//i.test(url)
  const settings = { base: isRemote ? url : undefined, headers, seconds: timeout || defaultSeconds, allowPrivate }
  return new BuiltInToolset(async (signal, incoming) => {
    const text = isRemote ? await fetched(url, settings, incoming, signal) : await read(url, environment)
    return { tools: toolsFor(new OpenApiDocument(text).operations, settings) }
  })
}

async function fetched(
  url: string,
  { headers, seconds, allowPrivate }: Settings,
  incoming: Headers,
  signal: AbortSignal,
): Promise<string> {
  const reach = (): Reach => (allowPrivate ? 'any' : 'public')
  const request = { headers: headersToSend(headers, incoming), reach, seconds, signal }
  try {
    return await http(httpUrl(url), request, async ({ status, message }) => {
      const { bytes, cut } = await readBody(message, maxDocumentBytes)
      if (status !== 200) throw new NetFailure(`it answered ${status}`)
      if (cut) throw new NetFailure(`it is larger than ${maxDocumentBytes} bytes`)
      return bytes.toString('utf8')
    })
  } catch (error) {
    throw unreadable(error)
  }
}

async function read(path: string, environment: ToolEnvironment): Promise<string> {
  try {
    const place = placeFor(path.startsWith('file:') ? fileURLToPath(path) : path, environment)
    if ((await sizeOfFile(place)) > maxDocumentBytes)
      throw new CallFailure(`it is larger than ${maxDocumentBytes} bytes`)
    return await readFile(place, 'utf8')
  } catch (error) {
    throw unreadable(error)
  }
}

function unreadable(error: unknown): unknown {
  const result = resultOf(error)
  return result === undefined
    ? error
    : new ToolsetFailure(`The OpenAPI document cannot be read: ${result.output}`, error)
}

function toolsFor(operations: readonly Operation[], settings: Settings): readonly BuiltInTool[] {
  const taken = new Set<string>()
  return operations.slice(0, maxOperations).map((operation) => {
    const name = freeName(operation.id, taken)
    taken.add(name)
    return operationTool(name, operation, settings)
  })
}

/** Providers take only these characters, and 64 of them; documents may name two operations alike. */
function freeName(id: string, taken: ReadonlySet<string>): string {
  const plain =
    id
      // The longest that an author means: what follows takes the square of its length.
      .slice(0, 1000)
      .replace(/[^A-Za-z0-9_-]+/g, '_')
      .replace(/^_+|_+$/g, '')
      .slice(0, 60) || 'operation'
  for (let count = 2, name = plain; ; count++) {
    if (!taken.has(name)) return name
    name = `${plain}_${count}`
  }
}

function operationTool(name: string, operation: Operation, settings: Settings): BuiltInTool {
  const { method, description } = operation
  const fields = bodyFields(operation)
  const parameters = parametersFor(operation, fields)
  const annotations: ToolAnnotations = {
    title: name,
    readOnlyHint: reading.has(method),
    ...(method === 'DELETE' && { destructiveHint: true }),
    openWorldHint: true,
  }
  return {
    tool: {
      name,
      category: 'openapi',
      description: description.slice(0, maxDescription),
      parameters,
      annotations,
      outputSchema: null,
    },
    run: async (raw, { signal, headers }) => {
      const read = readFields(parameters, raw)
      if (!read.ok) return read.result
      const { seconds, allowPrivate } = settings
      const request = requestFor(operation, fields, read.args, settings)
      const sent = {
        accept: 'application/json, */*;q=0.5',
        ...request.headers,
        ...lowered(headersToSend(settings.headers, headers)),
      }
      return await callHttp({ ...request, method, headers: sent, seconds, allowPrivate, signal })
    },
  }
}

/** The names of a body's fields, when it is an object that has some. */
function bodyFields({ body }: Operation): readonly string[] {
  return isFields(body?.schema.properties) ? Object.keys(body.schema.properties) : []
}

function parametersFor({ parameters, body }: Operation, fields: readonly string[]): Fields {
  const shown = parameters.filter(({ in: place }) => place !== 'cookie')
  const properties: Record<string, unknown> = Object.fromEntries(shown.map(({ name, schema }) => [name, schema]))
  const required = shown.filter((parameter) => parameter.required).map(({ name }) => name)
  if (body !== undefined && fields.length === 0) {
    properties.body = body.schema
    if (body.required) required.push('body')
  }
  const inner = isFields(body?.schema.properties) ? body.schema.properties : {}
  const needed = Array.isArray(body?.schema.required) ? body.schema.required : []
  for (const field of fields) {
    properties[`body_${field}`] = inner[field]
    if (body?.required && needed.includes(field)) required.push(`body_${field}`)
  }
  return { type: 'object', properties, required: [...new Set(required)], additionalProperties: false }
}

function requestFor(operation: Operation, fields: readonly string[], args: Fields, { base }: Settings) {
  const { parameters, path, server = '/' } = operation
  const given = parameters.filter(({ name }) => args[name] !== undefined && args[name] !== null)
  const placed = path.replace(/\{([^{}]+)\}/g, (_, name: string) => pathSegment(textOf(args[name] ?? '')))
  const root = URL.parse(server, base)
  if (root === null) throw new CallFailure('The document does not say where the API is served.')
  const url = httpUrl(root.href.replace(/[?#].*$/, '').replace(/\/$/, '') + placed)
  for (const [name, value] of queryOf(given, args)) url.searchParams.append(name, value)
  const inHeaders = given.filter((parameter) => parameter.in === 'header').map(({ name }) => [name, textOf(args[name])])
  return { url, ...bodyOf(operation, fields, args, lowered(Object.fromEntries(inHeaders))) }
}

function queryOf(parameters: readonly Parameter[], args: Fields): readonly (readonly [string, string])[] {
  const inQuery = parameters.filter((parameter) => parameter.in === 'query')
  return inQuery.flatMap(({ name }) => [args[name]].flat().map((value) => [name, textOf(value)] as const))
}

function bodyOf({ body }: Operation, fields: readonly string[], args: Fields, headers: Headers) {
  const given = fields.filter((field) => args[`body_${field}`] !== undefined)
  const values = Object.fromEntries(given.map((field) => [field, args[`body_${field}`]]))
  const value = fields.length === 0 ? args.body : given.length > 0 || body?.required ? values : undefined
  if (body === undefined || value === undefined) return { headers, body: undefined }
  return { headers: { 'content-type': body.type, ...headers }, body: encoded(body.type, value) }
}

function encoded(type: string, value: unknown): string {
  if (!/x-www-form-urlencoded/.test(type) || !isFields(value)) {
    return typeof value === 'string' && !/json/.test(type) ? value : JSON.stringify(value)
  }
  const form = Object.fromEntries(Object.entries(value).map(([name, field]) => [name, textOf(field)]))
  return new URLSearchParams(form).toString()
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
