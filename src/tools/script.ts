import type { ToolCallResult } from '../protocol/protocol.ts'
import { readFields } from './arguments.ts'
import type { BuiltInTool } from './built-in-tool.ts'
import { BuiltInToolset } from './built-in-toolset.ts'
import { runCommand } from './command.ts'
import { placeFor } from './place.ts'
import { commandResult } from './shell.ts'
import type { CallContext, ToolEnvironment, Toolset } from './tools.ts'
import type { ScriptDefinition, ToolsetDefinition } from './toolset-definition.ts'
import { withVariables } from './variables.ts'

const defaultSeconds = 300

/** Command lines that an agent file gives a name; their arguments are variables of the shell. */
export function script({ shell = {}, env, timeout }: ToolsetDefinition, environment: ToolEnvironment): Toolset {
  const variables = withVariables(environment.variables, env)
  const settings = { seconds: timeout || defaultSeconds, environment: { ...environment, variables } }
  const tools = Object.entries(shell).map(([name, definition]) => scriptTool(name, definition, settings))
  return new BuiltInToolset(() => ({ tools }))
}

interface Settings {
  readonly seconds: number
  readonly environment: ToolEnvironment
}

function scriptTool(name: string, definition: ScriptDefinition, { seconds, environment }: Settings): BuiltInTool {
  const { cmd, description, args = {}, required, env, working_dir: place = '.' } = definition
  const parameters = {
    type: 'object',
    properties: args,
    // What is not said to be optional is needed, as in a call of a function.
    required: required ?? Object.keys(args),
    additionalProperties: false,
  }
  const run = async (raw: unknown, { signal, output }: CallContext): Promise<ToolCallResult> => {
    const read = readFields(parameters, raw)
    if (!read.ok) return read.result
    const variables = { ...withVariables(environment.variables, env), ...variablesFrom(read.args) }
    const cwd = placeFor(place, environment)
    const command = { line: cmd, cwd, env: variables, timeoutMs: seconds * 1000, signal, output }
    return commandResult(await runCommand(command), seconds)
  }
  const told = description || `Runs \`${cmd}\`.`
  return {
    tool: { name, category: 'script', description: told, parameters, annotations: { title: name }, outputSchema: null },
    run,
  }
}

/** A shell knows text only: what is not text is JSON. */
function variablesFrom(args: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const texts = Object.entries(args).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ])
  return Object.fromEntries(texts)
}
