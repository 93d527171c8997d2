import type { ToolCallResult } from '../protocol/protocol.ts'
import { readFields } from './arguments.ts'
import type { BuiltInTool } from './built-in-tool.ts'
import { BuiltInToolset } from './built-in-toolset.ts'
import { httpUrl, lowered, pathSegment } from './http-client.ts'
import { callHttp } from './http-tool.ts'
import type { CallContext, Toolset } from './tools.ts'
import type { ApiDefinition, ToolsetDefinition } from './toolset-definition.ts'
import { ToolsetFailure } from './toolset-failure.ts'
import { headersToSend } from './variables.ts'

const defaultSeconds = 30
const placeholder = /\$\{\s*(?:encodeURIComponent\(\s*)?([A-Za-z_]\w*)\s*\)?\s*\}/g

type Args = Readonly<Record<string, unknown>>

/** One HTTP request that an agent file gives a name. */
export function api(definition: ToolsetDefinition): Toolset {
  return new BuiltInToolset(() => {
    if (definition.api_config === undefined) throw new ToolsetFailure('A toolset of type api needs api_config.')
    return { tools: [apiTool(definition.api_config, definition)] }
  })
}

function apiTool(
  config: ApiDefinition,
  { timeout, allow_private_ips: allowPrivate = false }: ToolsetDefinition,
): BuiltInTool {
  const { name, instruction, method, args = {}, required = [], output_schema: outputSchema = null } = config
  const parameters = { type: 'object', properties: args, required, additionalProperties: false }
  const run = async (raw: unknown, { signal, headers }: CallContext): Promise<ToolCallResult> => {
    const read = readFields(parameters, raw)
    if (!read.ok) return read.result
    return await callHttp({
      ...requestFor(config, read.args, headers),
      allowPrivate,
      seconds: timeout || defaultSeconds,
      signal,
    })
  }
  const description = instruction ?? `Sends a ${method} request to an API.`
  const annotations = { title: name, readOnlyHint: method === 'GET', openWorldHint: true }
  return { tool: { name, category: 'api', description, parameters, annotations, outputSchema }, run }
}

function requestFor(
  { endpoint, method, headers = {} }: ApiDefinition,
  args: Args,
  incoming: Readonly<Record<string, string>>,
) {
  const hasBody = method !== 'GET' && method !== 'DELETE'
  const sent = headersToSend(headers, incoming)
  const url = urlFor(endpoint, args)
  if (hasBody)
    return {
      url,
      method,
      headers: { 'content-type': 'application/json', ...lowered(sent) },
      body: JSON.stringify(args),
    }
  const placed = new Set([...endpoint.matchAll(placeholder)].map(([, name]) => name))
  for (const [name, value] of Object.entries(args)) if (!placed.has(name)) url.searchParams.append(name, textOf(value))
  return { url, method, headers: sent, body: undefined }
}

/** Values are encoded wherever they stand, so that none of them can lead the request elsewhere. */
function urlFor(endpoint: string, args: Args): URL {
  const [path = '', ...rest] = endpoint.split(/(?=\?)/)
  const filled = (template: string, encoded: (value: string) => string) => {
    return template.replace(placeholder, (_, name: string) => encoded(textOf(args[name] ?? '')))
  }
  return httpUrl(filled(path, pathSegment) + filled(rest.join(''), encodeURIComponent))
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
