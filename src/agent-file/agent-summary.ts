import type { AgentSummary } from '../protocol/protocol.ts'
import type { Agent } from './agent.ts'
import type { AgentFile } from './agent-file-schema.ts'
import type { Command } from './command.ts'

/** The agent called `name`; without a name the one called `root`, else the first. */
export function agentNamed(file: AgentFile, name?: string): Agent | undefined {
  if (name !== undefined) return file.agents.find((agent) => agent.Name === name)
  return file.agents.find((agent) => agent.Name === 'root') ?? file.agents[0]
}

/** The commands of an agent, those of the groups it uses included; its own win. */
export function commandsOf(file: AgentFile, agent: Agent): Readonly<Record<string, Command>> {
  const groups = agent.use_commands?.map((name) => file.commands?.[name] ?? {}) ?? []
  return Object.fromEntries([...groups, agent.commands ?? {}].flatMap((group) => Object.entries(group)))
}

/** The entry of `GET /api/agents` for a file that is served under `key`. It speaks of the file's first agent. */
export function summarise(key: string, file: AgentFile): AgentSummary {
  const [first] = file.agents
  const commands = first === undefined ? [] : Object.keys(commandsOf(file, first)).sort()
  return {
    name: key,
    description: first?.description ?? '',
    multi: file.agents.length > 1,
    ...(commands.length > 0 ? { commands } : {}),
  }
}
