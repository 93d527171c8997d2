import type { Agent, AgentFile } from '../agent-file/agent-file.ts'
import type { Tool, ToolCallResult } from '../protocol/protocol.ts'
import {
  type CallContext,
  createSkills,
  createToolset,
  type RerunDefinition,
  type RerunRule,
  readLifecycle,
  rerunRule,
  type TeamState,
  type ToolEnvironment,
  type Toolset,
  ToolsetFailure,
} from '../tools/tools.ts'
import { skillsOf } from './agent-skills.ts'
import { toolsetsOf } from './agent-toolsets.ts'
import type { AskingRules } from './question-expiry.ts'

interface Entry {
  readonly toolset: Toolset
  readonly label: string
  readonly required: boolean
  /** Reads what its tools answer, in place of the agent's own model. */
  readonly model?: string | undefined
  readonly asking: AskingRules
  /** What the file says about calls that a restart cut. */
  readonly rerun?: RerunDefinition | undefined
}

/** A toolset that could not be started. */
export interface FailedStart {
  /** For a person. */
  readonly sentence: string
  /** The author wants no run without it. */
  readonly required: boolean
  readonly cause: ToolsetFailure
}

/** The toolsets of one agent. Started by the first run that needs them, closed with the runtime. */
export class Toolbox {
  readonly #entries: readonly Entry[]

  constructor(file: AgentFile, agent: Agent, given: ToolEnvironment, team: TeamState) {
    const environment = { ...given, redactSecrets: agent.redact_secrets === true }
    const entries = toolsetsOf(file, agent).flatMap(({ config: definition }): Entry[] => {
      const readonly = agent.readonly === true || definition.readonly === true
      const toolset = createToolset({ ...definition, readonly }, environment, team)
      if (toolset === undefined) return []
      const required = definition.type === 'mcp' && readLifecycle(definition.lifecycle).required
      return [
        {
          toolset,
          label: definition.name ?? definition.type,
          required,
          model: definition.model,
          asking: definition,
          rerun: definition,
        },
      ]
    })
    const definitions = skillsOf(file, agent).map(({ definition }) => definition)
    const skills = createSkills(definitions, environment)
    this.#entries =
      skills === undefined ? entries : [...entries, { toolset: skills, label: 'skills', required: false, asking: {} }]
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  /** Makes the tools ready for a run, and tells what cannot be started, which is left out. */
  async start(signal: AbortSignal, headers: Readonly<Record<string, string>> = {}): Promise<readonly FailedStart[]> {
    const outcomes = await Promise.allSettled(this.#entries.map(({ toolset }) => toolset.start(signal, headers)))
    signal.throwIfAborted()
    return outcomes.flatMap((outcome, index) => {
      if (outcome.status === 'fulfilled') return []
      const entry = this.#entries[index]
      if (!(outcome.reason instanceof ToolsetFailure) || entry === undefined) throw outcome.reason
      const sentence = `The toolset ${entry.label} cannot be started: ${outcome.reason.message}`
      return [{ sentence, required: entry.required, cause: outcome.reason }]
    })
  }

  /** What can be called now; of two tools with one name the first counts. */
  get tools(): readonly Tool[] {
    const byName = new Map<string, Tool>()
    for (const { toolset } of this.#entries) {
      for (const tool of toolset.tools) if (!byName.has(tool.name)) byName.set(tool.name, tool)
    }
    return [...byName.values()]
  }

  /** What the model is told about the tools. */
  get instructions(): readonly string[] {
    return this.#entries.flatMap(({ toolset }) =>
      toolset.instruction === undefined || toolset.tools.length === 0 ? [] : [toolset.instruction],
    )
  }

  async call(name: string, args: unknown, context: CallContext): Promise<ToolCallResult> {
    const entry = this.#entryOf(name)
    if (entry === undefined) return { output: `There is no tool called "${name}" any more.`, isError: true }
    return await entry.toolset.call(name, args, context)
  }

  /** The model that is to read what a tool answers, if not the agent's own. */
  modelOf(name: string): string | undefined {
    return this.#entryOf(name)?.model
  }

  /** What the agent file says about questions that calls of a tool lead to. */
  askingOf(name: string): AskingRules {
    return this.#entryOf(name)?.asking ?? {}
  }

  /** What becomes of a call that was running when the process died. Of a tool that is not there nobody knows anything. */
  rerunRule(name: string): RerunRule {
    const entry = this.#entryOf(name)
    const tool = entry?.toolset.tools.find((tool) => tool.name === name)
    return tool === undefined ? 'never' : rerunRule(tool, entry?.rerun)
  }

  #entryOf(name: string): Entry | undefined {
    return this.#entries.find(({ toolset }) => toolset.tools.some((tool) => tool.name === name))
  }

  async close(): Promise<void> {
    await Promise.all(this.#entries.map(({ toolset }) => toolset.close()))
  }
}
