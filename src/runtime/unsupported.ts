import type { Agent, AgentFile, ModelConfig } from '../agent-file/agent-file.ts'
import type { ErrorDetail } from '../protocol/protocol.ts'

type Sentences<T> = Readonly<Partial<Record<keyof T & string, string>>>

/** Keys that an agent cannot run with, as long as they say anything. */
const agentKeys: Sentences<Agent> = {
  use_toolsets: 'Shared toolsets are not supported yet.',
  sub_agents: 'Sub-agents are not supported yet.',
  handoffs: 'Handoffs are not supported yet.',
  force_handoff: 'Forced handoffs are not supported yet.',
  harness: 'External harnesses are not supported yet.',
  hooks: 'Hooks are not supported yet.',
  skills: 'Skills are not supported yet.',
  use_skills: 'Skills are not supported yet.',
  structured_output: 'Structured output is not supported yet.',
  code_mode_tools: 'Code mode is not supported yet.',
  add_prompt_files: 'Prompt files are not supported yet.',
  budgets: 'Budgets are not supported yet.',
  cache: 'The response cache is not supported yet.',
}

/** Keys of the file that hold for every agent in it. */
const fileKeys: Sentences<AgentFile> = {
  budget: 'Budgets are not supported yet.',
}

const modelKeys: Sentences<ModelConfig> = {
  routing: 'Models that route are not supported yet.',
  first_available: 'Choosing the first available model is not supported yet.',
  auth: 'Workload identity federation is not supported yet.',
}

/** References that stand for more than one model, or for none in particular. */
const modelReferences: readonly { readonly matches: (ref: string) => boolean; readonly sentence: string }[] = [
  { matches: (ref) => ref === 'auto', sentence: 'Choosing a model automatically is not supported yet.' },
  { matches: (ref) => ref.includes(','), sentence: 'Alternating between models is not supported yet.' },
]

/** Everything that the agent uses in vain, one detail each. Its model is a matter of its own. */
export function unsupportedInAgent(file: AgentFile, agent: Agent): readonly ErrorDetail[] {
  const toolsets = (agent.toolsets ?? []).map(({ type }, index) => ({
    path: `agents.${agent.Name}.toolsets[${index}]`,
    message: `Toolsets of type ${type} are not supported yet.`,
  }))
  return [...toolsets, ...used(agent, agentKeys, `agents.${agent.Name}.`), ...used(file, fileKeys, '')]
}

/** The same for a model: what its reference, found at `path`, asks for, or the entry of `models` that it names. */
export function unsupportedInModel(ref: string, models: AgentFile['models'], path: string): readonly ErrorDetail[] {
  if (models && Object.hasOwn(models, ref)) return used(models[ref] ?? {}, modelKeys, `models.${ref}.`)
  return modelReferences.filter(({ matches }) => matches(ref)).map(({ sentence }) => ({ path, message: sentence }))
}

function used(where: object, sentences: Readonly<Record<string, string | undefined>>, path: string): ErrorDetail[] {
  const values = new Map<string, unknown>(Object.entries(where))
  return Object.entries(sentences).flatMap(([key, message]) =>
    message !== undefined && says(values.get(key)) ? [{ path: path + key, message }] : [],
  )
}

/** Whether a value turns anything on: empty lists, `false` and `enabled: false` do not. */
function says(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return Boolean(value)
  if ('enabled' in value) return value.enabled !== false
  return Object.values(value).some((entry) => entry !== undefined)
}
