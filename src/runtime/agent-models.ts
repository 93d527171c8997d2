import type { Agent, AgentFile } from '../agent-file/agent-file.ts'
import type { LanguageModel, Models } from '../models/models.ts'
import { parseDuration, Refusal } from '../protocol/protocol.ts'
import { ModelChain } from './model-chain.ts'
import { findModel, modelOf, resolveModel } from './model-resolution.ts'
import { openSelector } from './model-selector.ts'
import { RunFailure } from './run-failure.ts'

/**
 * The models of one agent. Keeps what it has opened, since a chain remembers which of its models has just failed.
 */
export class AgentModels {
  readonly #file: AgentFile
  readonly #agent: Agent
  readonly #models: Models
  readonly #chains = new Map<string, Promise<ModelChain>>()

  constructor(file: AgentFile, agent: Agent, models: Models) {
    this.#file = file
    this.#agent = agent
    this.#models = models
  }

  /** What its chain remembers is worth keeping between runs: who failed, and whose turn it is. */
  get isLasting(): boolean {
    const { model = '', fallback } = this.#agent
    return model.includes(',') || (fallback?.models ?? []).length > 0
  }

  /**
   * The model that a reference names, with the agent's fallbacks behind it; the agent's own without a reference. Throws a
   * `RunFailure`: the reference was good when it was taken, but the file and the environment may have changed since.
   */
  async chain(ref: string = modelOf(this.#agent)): Promise<ModelChain> {
    const known = this.#chains.get(ref) ?? openChain(this.#file, this.#agent, ref, this.#models)
    this.#chains.set(ref, known)
    return await known.catch((error: unknown) => {
      this.#chains.delete(ref)
      if (error instanceof Refusal) throw new RunFailure('model_error', error.message, { cause: error })
      throw error
    })
  }

  /**
   * What names a conversation that `ref` answers: the first of them that can. A model that makes no titles is no reason not
   * to answer.
   */
  async titleModels(ref: string = modelOf(this.#agent)): Promise<readonly LanguageModel[]> {
    const { current, others } = await this.chain(ref)
    const named = findModel(this.#file, ref, this.#models)?.titleModel
    const resolved = named === undefined ? undefined : findModel(this.#file, named, this.#models)
    const first = resolved ? await this.#models.open(resolved.definition).catch(() => current) : current
    return [first, ...others]
  }
}

/**
 * Opens a model with the agent's fallbacks behind it; touches no network. Refuses `invalid_model`, with details where a
 * model is asked for what is not built.
 */
export async function openChain(file: AgentFile, agent: Agent, ref: string, models: Models): Promise<ModelChain> {
  const { models: fallbacks = [], retries, cooldown } = agent.fallback ?? {}
  const open = (ref: string) => openSelector(resolveModel(file, ref, models), models)
  const primary = await open(ref)
  const others = await Promise.all(fallbacks.map(open))
  return new ModelChain(primary, others, {
    retries,
    cooldownMs: cooldown === undefined ? undefined : parseDuration(cooldown),
  })
}
