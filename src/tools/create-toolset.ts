import { api } from './api.ts'
import { BuiltInToolset } from './built-in-toolset.ts'
import { DecoratedToolset } from './decorated-toolset.ts'
import { fetchPages } from './fetch.ts'
import { filesystem } from './filesystem.ts'
import { limited } from './limited.ts'
import { createMcpToolset } from './mcp/mcp-toolset.ts'
import { memory } from './memory.ts'
import { openapi } from './openapi.ts'
import { script } from './script.ts'
import { shell } from './shell.ts'
import { think } from './think.ts'
import { todo } from './todo.ts'
import { TodoList } from './todo-list.ts'
import type { ToolEnvironment, Toolset } from './tools.ts'
import type { ToolsetDefinition } from './toolset-definition.ts'
import { userPrompt } from './user-prompt.ts'
import { agentVariables, expandWithin } from './variables.ts'

/** What the agents of one session's team have in common. */
export interface TeamState {
  /** The list of toolsets that are `shared`. */
  readonly todos: TodoList
}

type Factory = (definition: ToolsetDefinition, environment: ToolEnvironment, team: TeamState) => Toolset

const factories: Readonly<Record<string, Factory>> = {
  api,
  fetch: fetchPages,
  filesystem,
  memory,
  openapi,
  script,
  shell,
  think,
  todo: ({ shared }, _, { todos }) => todo(shared ? todos : new TodoList()),
  user_prompt: userPrompt,
}

/** The types of toolsets that {@link createToolset} makes. */
export const supportedToolsets: readonly string[] = [...Object.keys(factories), 'mcp']

export function createTeamState(): TeamState {
  return { todos: new TodoList() }
}

/**
 * Makes the toolset that an agent file describes, with variables filled in, its decorations and bounded results; nothing
 * is started. `undefined` for a type that is not supported yet.
 */
export function createToolset(
  definition: ToolsetDefinition,
  environment: ToolEnvironment,
  team: TeamState = createTeamState(),
): Toolset | undefined {
  // It fills in variables itself, where they are used, so that no message can tell what they held.
  if (definition.type === 'mcp') {
    return decorated(limited(mcp(definition, environment), environment), definition)
  }
  const factory = Object.hasOwn(factories, definition.type) ? factories[definition.type] : undefined
  if (factory === undefined) return undefined
  const variables = agentVariables(environment.variables)
  const expanded = expandWithin(definition, variables)
  const toolset = factory(expanded, { ...environment, variables }, team)
  return decorated(limited(toolset, environment), expanded)
}

/** A definition that cannot be followed fails at the start, like everything else that cannot be started. */
function mcp(definition: ToolsetDefinition, environment: ToolEnvironment): Toolset {
  try {
    return createMcpToolset(definition, environment)
  } catch (failure) {
    return new BuiltInToolset(() => Promise.reject(failure))
  }
}

function decorated(toolset: Toolset, definition: ToolsetDefinition): Toolset {
  const { name, tools, readonly, instruction } = definition
  const plain = !name && !tools && !readonly && instruction === undefined
  return plain ? toolset : new DecoratedToolset(toolset, { name, tools, readonly, instruction })
}
