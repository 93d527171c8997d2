import { z } from 'zod'
import type { Tool, ToolCall } from '../protocol/protocol.ts'
import { readFields } from '../tools/tools.ts'

const name = 'description'
/** One object for all tools: it tells our argument from one of that name which a tool has itself. */
const property = { type: 'string', description: 'Why you call the tool, in a few words, for the person who watches' }

const Fields = z.record(z.string(), z.unknown())
const Parameters = z.looseObject({ properties: Fields.optional() })

/** The tool with an argument in which a model says why it calls it. One that has such an argument stays as it is. */
export function withDescription(tool: Tool): Tool {
  const { data: parameters = {} } = Parameters.safeParse(tool.parameters)
  const { properties = {} } = parameters
  if (Object.hasOwn(properties, name)) return tool
  return { ...tool, parameters: { type: 'object', ...parameters, properties: { ...properties, [name]: property } } }
}

/** What the tool itself is to get. Permissions and hooks see no more: why a model calls a tool changes nothing for them. */
export function withoutDescription(
  tool: Tool,
  args: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  if (!isDescribed(tool) || !Object.hasOwn(args, name)) return args
  const { [name]: _, ...rest } = args
  return rest
}

/** JSON of arguments as people see them: with what the model said in its call about why. */
export function shownArguments(tool: Tool, call: ToolCall, args: unknown): string {
  const said = isDescribed(tool) ? readFields(tool.parameters, call.function.arguments) : undefined
  const why = said?.ok === true ? said.args[name] : undefined
  const fields = Fields.safeParse(args)
  return JSON.stringify(typeof why === 'string' && fields.success ? { ...fields.data, [name]: why } : args)
}

/** A call without its why, so that calls that do the same are the same. */
export function plainCall(tools: readonly Tool[], call: ToolCall): ToolCall {
  const tool = tools.find((candidate) => candidate.name === call.function.name)
  const read =
    tool !== undefined && isDescribed(tool) ? readFields(tool.parameters, call.function.arguments) : undefined
  if (tool === undefined || read?.ok !== true) return call
  return { ...call, function: { ...call.function, arguments: JSON.stringify(withoutDescription(tool, read.args)) } }
}

function isDescribed({ parameters }: Tool): boolean {
  const { data } = Parameters.safeParse(parameters)
  return data?.properties?.[name] === property
}
