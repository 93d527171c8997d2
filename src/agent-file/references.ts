import type { Agent } from './agent.ts'
import type { AgentFile } from './agent-file-schema.ts'
import type { Finding } from './finding.ts'

type Path = readonly PropertyKey[]
type Named = Readonly<Record<string, unknown>> | undefined

/** Finds every name in a file that stands for nothing: models, agents, shared definitions. */
export function danglingReferences(file: AgentFile): Finding[] {
  return [...file.agents.flatMap((agent) => inAgent(file, agent)), ...inModels(file), ...inShared(file)]
}

function inAgent(file: AgentFile, agent: Agent): Finding[] {
  const at = (...path: Path) => ['agents', agent.Name, ...path]
  return [
    ...models(file, at('model'), agent.model),
    ...each(agent.fallback?.models, (model, index) => models(file, at('fallback', 'models', index), model)),
    ...models(file, at('compaction_model'), agent.compaction_model),
    ...each(agent.sub_agents, (name, index) => agents(file, at('sub_agents', index), name)),
    ...each(agent.handoffs, (name, index) => agents(file, at('handoffs', index), name)),
    ...forcedHandoffs(file, agent),
    ...each(agent.toolsets, (toolset, index) => inToolset(file, at('toolsets', index), toolset)),
    ...each(agent.use_toolsets, (name, index) => known(file.toolsets, 'toolset', at('use_toolsets', index), name)),
    ...each(agent.use_commands, (name, index) => known(file.commands, 'commands', at('use_commands', index), name)),
    ...each(agent.use_skills, (name, index) => known(file.skills, 'skills', at('use_skills', index), name)),
    ...each(agent.budgets, (name, index) => known(file.budgets, 'budget', at('budgets', index), name)),
  ]
}

function inModels(file: AgentFile): Finding[] {
  return Object.entries(file.models ?? {}).flatMap(([name, model]) => [
    ...each(model.routing, (rule, index) => models(file, ['models', name, 'routing', index, 'model'], rule.model)),
    ...each(model.first_available, (ref, index) => models(file, ['models', name, 'first_available', index], ref)),
    ...models(file, ['models', name, 'title_model'], model.title_model),
    ...models(file, ['models', name, 'compaction_model'], model.compaction_model),
  ])
}

function inShared(file: AgentFile): Finding[] {
  return [
    ...Object.entries(file.toolsets ?? {}).flatMap(([name, set]) => inToolset(file, ['toolsets', name], set)),
    ...Object.entries(file.providers ?? {}).flatMap(([name, provider]) =>
      models(file, ['providers', name, 'compaction_model'], provider.compaction_model),
    ),
  ]
}

function inToolset(
  file: AgentFile,
  path: Path,
  toolset: { type: string; ref?: string | undefined; model?: string | undefined },
): Finding[] {
  const { type, ref } = toolset
  const shared = type === 'mcp' ? file.mcps : file.rag
  const refers = ref !== undefined && (type === 'rag' || (type === 'mcp' && !ref.startsWith('docker:')))
  return [
    ...models(file, [...path, 'model'], toolset.model),
    ...(refers ? known(shared, `${type} definition`, [...path, 'ref'], ref) : []),
  ]
}

function models(file: AgentFile, path: Path, reference: string | undefined): Finding[] {
  const parts = reference?.split(',').map((part) => part.trim()) ?? []
  // A reference to the environment can be judged only when the agent runs.
  const isReference = (part: string) => part === 'auto' || part.includes('${') || /^[^/\s]+\/\S+$/.test(part)
  const unknown = parts.find((part) => !has(file.models, part) && !isReference(part))
  if (unknown === undefined) return []
  return [{ path, message: `"${unknown}" is neither a model of this file nor of the form provider/model` }]
}

function agents(file: AgentFile, path: Path, name: string): Finding[] {
  // A path, a tag or a digest marks an agent that lives somewhere else.
  if (file.agents.some((agent) => agent.Name === name) || /[/:]/.test(name)) return []
  return [{ path, message: `there is no agent called "${name}" in this file` }]
}

/** A chain of forced handoffs that comes back to where it began would never end. */
function forcedHandoffs(file: AgentFile, agent: Agent): Finding[] {
  if (agent.force_handoff === undefined) return []
  const path = ['agents', agent.Name, 'force_handoff']
  const passed = new Set<string>()
  for (let next: Agent | undefined = agent; next?.force_handoff !== undefined; ) {
    const { force_handoff }: Agent = next
    if (force_handoff === agent.Name) return [{ path, message: 'the forced handoffs lead back to this agent' }]
    if (passed.has(force_handoff)) break
    passed.add(force_handoff)
    next = file.agents.find(({ Name }) => Name === force_handoff)
  }
  return agents(file, path, agent.force_handoff)
}

function known(shared: Named, what: string, path: Path, name: string): Finding[] {
  return has(shared, name) ? [] : [{ path, message: `there is no ${what} called "${name}" in this file` }]
}

function has(shared: Named, name: string): boolean {
  return shared !== undefined && Object.hasOwn(shared, name)
}

function each<T>(list: readonly T[] | undefined, find: (item: T, index: number) => Finding[]): Finding[] {
  return (list ?? []).flatMap(find)
}
