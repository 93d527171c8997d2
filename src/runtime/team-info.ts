import { type Agent, type AgentFile, commandsOf } from '../agent-file/agent-file.ts'
import { parseModelRef } from '../models/models.ts'
import type { TeamMember } from '../protocol/protocol.ts'
import { findModel, type KnownModels, modelOf } from './model-resolution.ts'
import type { RuntimeEvent } from './runtime.ts'

/** Who is in the file, and who of them answers; `override` is the model that the session chose for that one. */
export function teamInfo(
  file: AgentFile,
  current: Agent,
  override: string | undefined,
  models: KnownModels,
): RuntimeEvent {
  const available_agents = file.agents.map((agent) =>
    member(file, agent, agent === current ? (override ?? modelOf(agent)) : modelOf(agent), models),
  )
  return { type: 'team_info', agent_name: current.Name, available_agents, current_agent: current.Name }
}

function member(file: AgentFile, agent: Agent, ref: string, models: KnownModels): TeamMember {
  const definition = findModel(file, ref, models)?.definition
  const { provider = '', model = ref } = definition ?? parseModelRef(ref) ?? {}
  const commands = commandsOf(file, agent)
  return {
    name: agent.Name,
    description: agent.description ?? '',
    provider,
    model,
    ...(definition?.thinking_budget !== undefined && { thinking: String(definition.thinking_budget) }),
    ...(Object.keys(commands).length > 0 && { commands }),
  }
}
