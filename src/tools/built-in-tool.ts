import type { z } from 'zod'
import type { Tool, ToolAnnotations, ToolCallResult } from '../protocol/protocol.ts'
import { parametersOf, readArguments } from './arguments.ts'
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
  run(args: T, context: CallContext): ToolCallResult | Promise<ToolCallResult>
}

/** A tool whose arguments are known when the program is written. */
export function builtInTool<T>(specification: Specification<T>): BuiltInTool {
  const { name, category, description, args: schema, annotations, run } = specification
  const parameters = parametersOf(schema)
  return {
    tool: { name, category, description, parameters, annotations, outputSchema: null },
    run: async (raw, context) => {
      const read = readArguments(schema, parameters, raw)
      return read.ok ? await run(read.args, context) : read.result
    },
  }
}

/** Annotations of a tool that changes nothing. */
export function readOnly(title: string): ToolAnnotations {
  return { title, readOnlyHint: true }
}
