import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, type AgentFile, type AgentSources, agentFileView, agentNamed } from '../agent-file/agent-file.ts'
import type { Models } from '../models/models.ts'
import { type ErrorDetail, Refusal } from '../protocol/protocol.ts'
import type { ToolEnvironment } from '../tools/tools.ts'
import { createAgentRuntime } from './agent-runtime.ts'
import { modelOf, resolveModel } from './model-resolution.ts'
import type { AgentRef, Agents, Runtime } from './runtime.ts'
import { Toolbox } from './toolbox.ts'
import { unsupportedInAgent, unsupportedInModel } from './unsupported.ts'

const countingMs = 60_000

export interface AgentsOptions {
  /** Whoever created the sources closes them. */
  readonly sources: AgentSources
  readonly models: Models
  /** What tools and their processes see of the environment. */
  readonly variables?: Readonly<Record<string, string | undefined>> | undefined
  /** Where toolsets keep what outlives a session. */
  readonly dataDir?: string | undefined
}

/** An agent that was opened: as long as its source has this version, it need not be opened again. */
interface Opened {
  readonly version: string
  readonly source: string
  readonly workingDir: string
}

/** The agents of agent files, run by the loop of this room. */
export function createAgents(options: AgentsOptions): Agents {
  const { sources, models, variables = {}, dataDir = join(tmpdir(), 'quarterdeck') } = options
  const opened = new WeakMap<Runtime, Opened>()
  const environmentIn = (workingDir: string): ToolEnvironment => ({ workingDir, variables, dataDir })
  return {
    list: async () => sources.list(),
    view: async (source) => agentFileView(sources.get(source).file),
    toolCount: async (ref) => {
      const { file, agent } = find(sources, ref)
      refuse(agent, unsupportedInAgent(file, agent))
      return countTools(new Toolbox(file, agent, environmentIn(process.cwd())))
    },
    open: async (ref, { workingDir = process.cwd(), current } = {}) => {
      const { file, agent, version } = find(sources, ref)
      const known = current && opened.get(current)
      const isSame = current?.agent === agent.Name && known?.version === version && known.source === ref.source
      if (current !== undefined && isSame && known.workingDir === workingDir) return current
      const inAgent = unsupportedInAgent(file, agent)
      const path = `agents.${agent.Name}.model`
      const inModel = unsupportedInModel(modelOf(agent), file.models, path)
      const refusal = inModel.length === 0 ? await refusalOf(file, agent, models) : undefined
      if (refusal && inAgent.length === 0) throw refusal
      const unusable = refusal ? [{ path, message: refusal.message }] : []
      refuse(agent, [...inAgent, ...inModel, ...unusable])
      const runtime = createAgentRuntime({ file, agent, models, environment: environmentIn(workingDir) })
      opened.set(runtime, { version, source: ref.source, workingDir })
      return runtime
    },
    close: async () => {},
  }
}

/** Starts the toolsets and stops them again: what they offer is not known before. What does not start offers nothing. */
async function countTools(toolbox: Toolbox): Promise<number> {
  const limit = AbortSignal.timeout(countingMs)
  try {
    await toolbox.start(limit).catch((error: unknown) => {
      if (!limit.aborted) throw error
    })
    return toolbox.tools.length
  } finally {
    await toolbox.close()
  }
}

function find(
  sources: AgentSources,
  { source, name }: AgentRef,
): { readonly file: AgentFile; readonly agent: Agent; readonly version: string } {
  const { file, version } = sources.get(source)
  const agent = agentNamed(file, name)
  if (!agent) throw new Refusal('unknown_agent', `The agent file ${source} has no agent called ${name}.`)
  return { file, agent, version }
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
