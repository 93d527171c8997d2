import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, type AgentFile, type AgentSources, agentFileView, agentNamed } from '../agent-file/agent-file.ts'
import type { Models } from '../models/models.ts'
import { type ErrorDetail, Refusal } from '../protocol/protocol.ts'
import type { ToolEnvironment } from '../tools/tools.ts'
import { createTeam } from './agent-runtime.ts'
import { toolsetsOf } from './agent-toolsets.ts'
import { modelOf, resolveModel } from './model-resolution.ts'
import { openSelector } from './model-selector.ts'
import { ownToolsets } from './own-toolsets.ts'
import { RunToolbox } from './run-toolbox.ts'
import type { AgentRef, Agents, Patience, Runtime } from './runtime.ts'
import type { Team } from './team.ts'
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
  /** How long a model may say nothing is what `models` holds to; told here so that people can be told. For ever unless told. */
  readonly patience?: Patience | undefined
}

/** An agent that was opened: as long as its source has this version, it need not be opened again. */
interface Opened {
  readonly version: string
  readonly source: string
  readonly workingDir: string
  readonly team: Team
}

/** The agents of agent files, run by the loop of this room. */
export function createAgents(options: AgentsOptions): Agents {
  const { sources, models, patience, variables = {}, dataDir = join(tmpdir(), 'quarterdeck') } = options
  const opened = new WeakMap<Runtime, Opened>()
  const environmentIn = (workingDir: string): ToolEnvironment => ({ workingDir, variables, dataDir })
  return {
    list: async () => sources.list(),
    view: async (source) => agentFileView(sources.get(source).file),
    toolCount: async (ref) => {
      const { file, agent } = find(sources, ref)
      refuse(agent, unsupportedInAgent(file, agent))
      return countTools(createTeam({ file, models, environment: environmentIn(process.cwd()) }), agent)
    },
    open: async (ref, { workingDir = process.cwd(), current } = {}) => {
      const { file, agent, version } = find(sources, ref)
      const known = current && opened.get(current)
      const isSame = known?.version === version && known.source === ref.source && known.workingDir === workingDir
      if (current !== undefined && isSame && current.agent === agent.Name) return current
      const inAgent = unsupportedInAgent(file, agent)
      const inModels = modelsOf(file, agent).flatMap(([, ref]) => unsupportedInModel(ref, file.models))
      const refused = inModels.length === 0 ? await refusedModel(file, agent, models) : undefined
      if (refused && inAgent.length === 0) throw refused.refusal
      const unusable = refused ? [{ path: refused.path, message: refused.refusal.message }] : []
      refuse(agent, [...inAgent, ...inModels, ...unusable])
      // Another agent of the same team finds the toolsets of that team as they are.
      const team = isSame ? known.team : createTeam({ file, models, patience, environment: environmentIn(workingDir) })
      const runtime = team.open(agent)
      opened.set(runtime, { version, source: ref.source, workingDir, team })
      return runtime
    },
    close: async () => {},
  }
}

/** Starts the toolsets and stops them again: what they offer is not known before. What does not start offers nothing. */
async function countTools(team: Team, agent: Agent): Promise<number> {
  const limit = AbortSignal.timeout(countingMs)
  const leave = team.use()
  const toolbox = team.toolboxOf(agent)
  const own = ownToolsets(team, agent, [], () => {
    throw new TypeError('tools are counted, not called')
  })
  try {
    await Promise.all([toolbox, ...own.map(({ toolset }) => toolset)].map((toolset) => toolset.start(limit))).catch(
      (error: unknown) => {
        if (!limit.aborted) throw error
      },
    )
    return new RunToolbox(toolbox, own, agent).tools.length
  } finally {
    await leave()
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

/** Where the models are named that answer for the agent, and the names. */
function modelsOf(file: AgentFile, agent: Agent): readonly (readonly [path: string, ref: string])[] {
  const path = `agents.${agent.Name}`
  const fallbacks = agent.fallback?.models ?? []
  return [
    [`${path}.model`, modelOf(agent)],
    ...fallbacks.map((ref, index) => [`${path}.fallback.models[${index}]`, ref] as const),
    ...toolsetsOf(file, agent).flatMap(({ path, config: { model } }) =>
      model === undefined ? [] : [[`${path}.model`, model] as const],
    ),
  ]
}

interface RefusedModel {
  readonly path: string
  readonly refusal: Refusal
}

/** Opening a model touches no network: what is wrong with it is known before the first run. */
async function refusedModel(file: AgentFile, agent: Agent, models: Models): Promise<RefusedModel | undefined> {
  for (const [path, ref] of modelsOf(file, agent)) {
    try {
      await openSelector(resolveModel(file, ref, models), models)
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal
      return { path, refusal }
    }
  }
  return undefined
}
