import type { z } from 'zod'
import type { Tool, ToolAnnotations, ToolCallResult } from '../protocol/protocol.ts'
import { isFields, parametersOf, parsedArguments, readArguments } from './arguments.ts'
import type { CallContext } from './tools.ts'

/** A tool and what it does. */
export interface BuiltInTool {
  readonly tool: Tool
  /** `args` are as the model wrote them. Throws a `CallFailure` or an error of the system for what it could not do. */
  run(args: unknown, context: CallContext): Promise<ToolCallResult>
}

interface Specification<T> {
  readonly name: string
  readonly category: string
  readonly description: string
  /** A strict object: what it does not know is left out before it is asked. */
  readonly args: z.ZodType<T>
  readonly annotations: ToolAnnotations
  /** Other names that models use for arguments. */
  readonly aliases?: Readonly<Record<string, string>>
  run(args: T, context: CallContext): ToolCallResult | Promise<ToolCallResult>
}

/** A tool whose arguments are known when the program is written. */
export function builtInTool<T>(specification: Specification<T>): BuiltInTool {
  const { name, category, description, args: schema, annotations, aliases = {}, run } = specification
  const parameters = parametersOf(schema)
  return {
    tool: { name, category, description, parameters, annotations, outputSchema: null },
    run: async (raw, context) => {
      const read = readArguments(schema, parameters, renamed(parsedArguments(raw), aliases))
      return read.ok ? await run(read.args, context) : read.result
    },
  }
}

function renamed(args: unknown, aliases: Readonly<Record<string, string>>): unknown {
  if (!isFields(args)) return args
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [aliased(name, aliases, args), value]))
}

function aliased(name: string, aliases: Readonly<Record<string, string>>, args: object): string {
  const other = Object.hasOwn(aliases, name) ? aliases[name] : undefined
  return other === undefined || Object.hasOwn(args, other) ? name : other
}

/** Annotations of a tool that changes nothing. */
export function readOnly(title: string): ToolAnnotations {
  return { title, readOnlyHint: true }
}
