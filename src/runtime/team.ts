import type { Agent, AgentFile } from '../agent-file/agent-file.ts'
import type { Models } from '../models/models.ts'
import { createTeamState, type ToolEnvironment } from '../tools/tools.ts'
import { AgentModels } from './agent-models.ts'
import type { Orders } from './delegation.ts'
import { redactingModels } from './redaction.ts'
import type { Patience, Runtime } from './runtime.ts'
import { Toolbox } from './toolbox.ts'

/** What a team is made of. */
export interface TeamParts {
  readonly file: AgentFile
  readonly models: Models
  readonly environment: ToolEnvironment
  /** For ever unless told. */
  readonly patience?: Patience | undefined
}

const endless: Patience = { modelMs: Number.POSITIVE_INFINITY, toolMs: Number.POSITIVE_INFINITY }

type OpenMember = (team: Team, agent: Agent, orders: Orders | undefined) => Runtime

/**
 * The agents of one file while they work in one session: the toolsets of each, made when it is first needed, and kept until
 * nobody who uses the team is left.
 */
export class Team {
  readonly file: AgentFile
  readonly models: Models
  readonly environment: ToolEnvironment
  readonly patience: Patience
  readonly #state = createTeamState()
  readonly #toolboxes = new Map<Agent, Toolbox>()
  readonly #models = new Map<Agent, AgentModels>()
  readonly #open: OpenMember
  #users = 0

  constructor({ file, models, environment, patience = endless }: TeamParts, open: OpenMember) {
    this.#open = open
    this.file = file
    this.models = models
    this.environment = environment
    this.patience = patience
  }

  /** It holds what is costly to start, or what is worth remembering between runs. */
  get isLasting(): boolean {
    const hasToolsets = [...this.#toolboxes.values()].some((toolbox) => !toolbox.isEmpty)
    return hasToolsets || [...this.#models.values()].some((models) => models.isLasting)
  }

  /** What opens the models of an agent. */
  opening(agent: Agent): Models {
    return agent.redact_secrets === true ? redactingModels(this.models) : this.models
  }

  modelsOf(agent: Agent): AgentModels {
    const models = this.#models.get(agent) ?? new AgentModels(this.file, agent, this.opening(agent))
    this.#models.set(agent, models)
    return models
  }

  toolboxOf(agent: Agent): Toolbox {
    const known = this.#toolboxes.get(agent)
    if (known !== undefined) return known
    const toolbox = new Toolbox(this.file, agent, this.environment, this.#state)
    this.#toolboxes.set(agent, toolbox)
    return toolbox
  }

  /** The agents of the file with these names, in that order. */
  members(names: readonly string[] = []): readonly Agent[] {
    return names.flatMap((name) => this.file.agents.find((agent) => agent.Name === name) ?? [])
  }

  /** An agent of the team, ready to run; without orders it is the one that talks to people. */
  open(agent: Agent, orders?: Orders): Runtime {
    return this.#open(this, agent, orders)
  }

  /** Uses the team until the answer is called; when the last user has left, everything is closed. Twice is harmless. */
  use(): () => Promise<void> {
    this.#users += 1
    let isUsed = true
    return async () => {
      if (!isUsed) return
      isUsed = false
      this.#users -= 1
      if (this.#users === 0) await this.#close()
    }
  }

  async #close(): Promise<void> {
    const toolboxes = [...this.#toolboxes.values()]
    this.#toolboxes.clear()
    await Promise.all(toolboxes.map((toolbox) => toolbox.close()))
  }
}
