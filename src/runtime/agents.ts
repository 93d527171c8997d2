import { type Agent, type AgentFile, type AgentSources, agentFileView, agentNamed } from '../agent-file/agent-file.ts'
import type { Models } from '../models/models.ts'
import { type ErrorDetail, Refusal } from '../protocol/protocol.ts'
import { createAgentRuntime } from './agent-runtime.ts'
import { modelOf, resolveModel } from './model-resolution.ts'
import type { AgentRef, Agents } from './runtime.ts'
import { unsupportedInAgent, unsupportedInModel } from './unsupported.ts'

export interface AgentsOptions {
  /** Whoever created the sources closes them. */
  readonly sources: AgentSources
  readonly models: Models
}

/** The agents of agent files, run by the loop of this room. */
export function createAgents({ sources, models }: AgentsOptions): Agents {
  return {
    list: async () => sources.list(),
    view: async (source) => agentFileView(sources.get(source).file),
    toolCount: async (ref) => {
      const { file, agent } = find(sources, ref)
      refuse(agent, unsupportedInAgent(file, agent))
      return 0
    },
    open: async (ref) => {
      const { file, agent } = find(sources, ref)
      const inAgent = unsupportedInAgent(file, agent)
      const path = `agents.${agent.Name}.model`
      const inModel = unsupportedInModel(modelOf(agent), file.models, path)
      const refusal = inModel.length === 0 ? await refusalOf(file, agent, models) : undefined
      if (refusal && inAgent.length === 0) throw refusal
      const unusable = refusal ? [{ path, message: refusal.message }] : []
      refuse(agent, [...inAgent, ...inModel, ...unusable])
      return createAgentRuntime({ file, agent, models })
    },
    close: async () => {},
  }
}

function find(sources: AgentSources, { source, name }: AgentRef): { file: AgentFile; agent: Agent } {
  const { file } = sources.get(source)
  const agent = agentNamed(file, name)
  if (!agent) throw new Refusal('unknown_agent', `The agent file ${source} has no agent called ${name}.`)
  return { file, agent }
}

function refuse(agent: Agent, details: readonly ErrorDetail[]): void {
  if (details.length === 0) return
  const sentences = [...new Set(details.map(({ message }) => message))].join(' ')
  throw new Refusal('agent_not_supported', `The agent ${agent.Name} cannot run: ${sentences}`, { details })
}

/** Opening a model touches no network: what is wrong with it is known before the first run. */
async function refusalOf(file: AgentFile, agent: Agent, models: Models): Promise<Refusal | undefined> {
  try {
    await models.open(resolveModel(file, modelOf(agent)).definition)
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}
