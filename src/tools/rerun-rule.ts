import type { Tool } from '../protocol/protocol.ts'

/**
 * What becomes of a call that was running when the process died: `safe` is run again, `never` is not, and the model is told
 * that nobody knows whether it took effect, `ask` leaves it to a person.
 */
export type RerunRule = 'safe' | 'never' | 'ask'

/** What an agent file says about the calls of a toolset. */
export interface RerunDefinition {
  /** The prefix of the toolset's tools. */
  readonly name?: string | undefined
  /** One rule for all tools, or rules by name, with or without the prefix; `*` stands for the others. */
  readonly rerun?: RerunRule | Readonly<Record<string, RerunRule>> | undefined
  /** Whether an MCP server is believed when it says that a tool only reads. */
  readonly trust_annotations?: boolean | undefined
}

/** The tools of this program that can be run again, by category. They change nothing, or begin what has begun only once. */
const repeatable: Readonly<Record<string, readonly string[]>> = {
  fetch: ['fetch'],
  filesystem: ['directory_tree', 'list_directory', 'read_file', 'read_multiple_files', 'search_files_content'],
  handoff: ['handoff'],
  memory: ['get_memories', 'search_memories'],
  skills: ['read_skill', 'read_skill_file'],
  think: ['think'],
  todo: ['list_todos'],
  transfer: [
    'list_background_agents',
    'run_background_agent',
    'transfer_task',
    'view_background_agent',
    'wait_background_agents',
  ],
  user_prompt: ['user_prompt'],
}

/** The rule of a tool as the model sees it: what the agent file says about it, else what its kind and its author say. */
export function rerunRule(tool: Tool, definition: RerunDefinition = {}): RerunRule {
  const { name: prefix, rerun, trust_annotations: isTrusted = false } = definition
  const isPrefixed = prefix !== undefined && prefix !== '' && tool.name.startsWith(`${prefix}_`)
  const name = isPrefixed ? tool.name.slice(prefix.length + 1) : tool.name
  const written = typeof rerun === 'string' ? rerun : ruleFor([tool.name, name, '*'], rerun)
  return written ?? (isRepeatable(tool, name, isTrusted) ? 'safe' : 'never')
}

/** The first rule that is there. */
function ruleFor(names: readonly string[], rules: Readonly<Record<string, RerunRule>> = {}): RerunRule | undefined {
  const found = names.find((name) => Object.hasOwn(rules, name))
  return found === undefined ? undefined : rules[found]
}

/** A server's word that repeating does no harm is taken: only who knows the effect says it. That a tool reads is said lightly. */
function isRepeatable({ category, annotations }: Tool, name: string, isTrusted: boolean): boolean {
  const { idempotentHint = false, readOnlyHint = false } = annotations
  if (category === 'mcp') return idempotentHint || (isTrusted && readOnlyHint)
  return repeatable[category]?.includes(name) ?? false
}
