import type { Agent, AgentFile, Toolset as ToolsetConfig } from '../agent-file/agent-file.ts'

/** A toolset of an agent, with where it stands in the file. */
export interface AgentToolset {
  readonly path: string
  readonly config: ToolsetConfig
}

/** All toolsets of an agent: its own, those it shares by name, and MCP servers of the file that it refers to. */
export function toolsetsOf(file: AgentFile, agent: Agent): readonly AgentToolset[] {
  const own = (agent.toolsets ?? []).map((config, index): AgentToolset => {
    return { path: `agents.${agent.Name}.toolsets[${index}]`, config }
  })
  const shared = (agent.use_toolsets ?? []).flatMap((name): AgentToolset[] => {
    const config = file.toolsets?.[name]
    return config === undefined ? [] : [{ path: `toolsets.${name}`, config }]
  })
  return [...own, ...shared].map(({ path, config }) => ({ path, config: referred(file, config) }))
}

/** A reference to an entry of `mcps` is that entry, with what the toolset says itself. */
function referred(file: AgentFile, { ref, ...config }: ToolsetConfig): ToolsetConfig {
  if (ref === undefined) return config
  const server = file.mcps?.[ref]
  return server === undefined ? { ...config, ref } : { ...server, ...config }
}
