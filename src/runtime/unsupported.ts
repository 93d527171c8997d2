import type { Agent, AgentFile, ModelConfig, Toolset as ToolsetConfig } from '../agent-file/agent-file.ts'
import type { ErrorDetail } from '../protocol/protocol.ts'
import { supportedToolsets, unsupportedHooks } from '../tools/tools.ts'
import { skillsOf, unsupportedInSkills } from './agent-skills.ts'
import { type AgentToolset, toolsetsOf } from './agent-toolsets.ts'

type Sentences<T> = Readonly<Partial<Record<keyof T & string, string>>>

/** Keys that an agent cannot run with, as long as they say anything. */
const agentKeys: Sentences<Agent> = {
  harness: 'External harnesses are not supported yet.',
  code_mode_tools: 'Code mode is not supported yet.',
  cache: 'The response cache is not supported yet.',
}

/** Keys of a toolset that it cannot run with. */
const toolsetKeys: Sentences<ToolsetConfig> = {
  defer: 'Deferred tools are not supported yet.',
  toon: 'Compact results (toon) are not supported yet.',
  sudo_askpass: 'Asking for a password for sudo is not supported yet.',
}

/** Keys that limit what a toolset may do, with the types that heed them: for any other a limit would be none. */
const limits: Readonly<Partial<Record<keyof ToolsetConfig, readonly ToolsetConfig['type'][]>>> = {
  working_dir: ['mcp'],
  allow_list: ['filesystem'],
  deny_list: ['filesystem'],
  allowed_domains: ['fetch'],
  blocked_domains: ['fetch'],
}

const modelKeys: Sentences<ModelConfig> = {
  auth: 'Workload identity federation is not supported yet.',
}

/** Everything that the agent, and those it can call upon, use in vain, one detail each. Models are a matter of their own. */
export function unsupportedInAgent(file: AgentFile, agent: Agent): readonly ErrorDetail[] {
  return [...teamOf(file, agent)].flatMap((member) => unsupportedInMember(file, member))
}

function unsupportedInMember(file: AgentFile, agent: Agent): readonly ErrorDetail[] {
  const path = `agents.${agent.Name}.`
  const hooks = unsupportedHooks(agent.hooks ?? {}).map((detail) => ({ ...detail, path: path + detail.path }))
  const toolsets = toolsetsOf(file, agent).flatMap(unsupportedInToolset)
  const skills = skillsOf(file, agent).flatMap(unsupportedInSkills)
  return [
    ...toolsets,
    ...skills,
    ...hooks,
    ...elsewhere(file, agent, path),
    ...used(agent, agentKeys, path),
    ...byTool(agent, path),
  ]
}

function byTool({ structured_output: output }: Agent, path: string): readonly ErrorDetail[] {
  if (output?.mode !== 'tool') return []
  return [{ path: `${path}structured_output`, message: 'Structured output by a tool is not supported yet.' }]
}

/** Agents that the file only names are not there to be run. */
function elsewhere(file: AgentFile, { sub_agents = [], handoffs = [] }: Agent, path: string): readonly ErrorDetail[] {
  const isMissing = (name: string): boolean => !file.agents.some(({ Name }) => Name === name)
  return Object.entries({ sub_agents, handoffs }).flatMap(([key, names]) =>
    names.filter(isMissing).map((name) => {
      return { path: path + key, message: `Agents from elsewhere (${name}) are not supported yet.` }
    }),
  )
}

/** The agent and all that it can reach. */
function teamOf(file: AgentFile, agent: Agent, team: Set<Agent> = new Set()): ReadonlySet<Agent> {
  if (team.has(agent)) return team
  team.add(agent)
  const { sub_agents = [], handoffs = [], force_handoff = '' } = agent
  const names = [...sub_agents, ...handoffs, force_handoff]
  for (const member of file.agents) if (names.includes(member.Name)) teamOf(file, member, team)
  return team
}

function unsupportedInToolset({ path, config }: AgentToolset): readonly ErrorDetail[] {
  const { type, ref, remote } = config
  if (!supportedToolsets.includes(type) && type !== 'background_agents')
    return [{ path, message: `Toolsets of type ${type} are not supported yet.` }]
  const details = used(config, { ...toolsetKeys, ...unheeded(type) }, `${path}.`)
  if (ref !== undefined)
    details.push({ path: `${path}.ref`, message: `The MCP catalogue (${ref}) is not supported yet.` })
  if (remote?.oauth !== undefined)
    details.push({ path: `${path}.remote.oauth`, message: 'OAuth is not supported yet.' })
  return details
}

function unheeded(type: ToolsetConfig['type']): Readonly<Record<string, string>> {
  const keys = Object.entries(limits).filter(([, types]) => !types.includes(type))
  return Object.fromEntries(keys.map(([key]) => [key, `Toolsets of type ${type} do not heed ${key}.`]))
}

/** The same for the entries of `models` that a reference names. */
export function unsupportedInModel(ref: string, models: AgentFile['models']): readonly ErrorDetail[] {
  const names = [ref, ...ref.split(',').map((name) => name.trim())]
  return [...new Set(names)].flatMap((name) => {
    const model = models && Object.hasOwn(models, name) ? models[name] : undefined
    return model ? used(model, modelKeys, `models.${name}.`) : []
  })
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
