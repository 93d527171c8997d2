import type { Agent, AgentFile, ModelConfig } from '../agent-file/agent-file.ts'
import { ModelDefinition, parseModelRef } from '../models/models.ts'
import { Refusal } from '../protocol/protocol.ts'
import { unsupportedInModel } from './unsupported.ts'

/** What a reference means in an agent file. */
export interface ResolvedModel {
  readonly definition: ModelDefinition
  /** Reference to the model that makes titles, if not this one. */
  readonly titleModel: string | undefined
}

/**
 * Resolves a key of the file's `models` or an inline `provider/model`, completed by what the file's `providers` share.
 * Throws `Refusal('invalid_model')`, with details where the reference asks for what is not built.
 */
export function resolveModel(file: AgentFile, ref: string): ResolvedModel {
  const details = unsupportedInModel(ref, file.models, 'model')
  const [first] = details
  if (first) throw new Refusal('invalid_model', first.message, { details })
  const written: ModelConfig | undefined = own(file.models, ref) ?? parseModelRef(ref)
  if (!written) throw new Refusal('invalid_model', `${ref} is neither a model of the agent file nor provider/model.`)
  const definition = ModelDefinition.safeParse(complete(file, written))
  if (!definition.success) throw new Refusal('invalid_model', `The model ${ref} cannot be used as it is defined.`)
  return { definition: definition.data, titleModel: written.title_model }
}

/** What the author chose; who chooses nothing leaves it to the program. */
export function modelOf(agent: Agent): string {
  return agent.model ?? 'auto'
}

/** The same, `undefined` instead of a refusal. */
export function findModel(file: AgentFile, ref: string): ResolvedModel | undefined {
  try {
    return resolveModel(file, ref)
  } catch (error) {
    if (error instanceof Refusal) return undefined
    throw error
  }
}

/** What the model says itself wins over what its provider says for all its models. */
function complete(file: AgentFile, written: ModelConfig): Record<string, unknown> {
  const shared = own(file.providers, written.provider)
  const baseUrl = written.base_url ?? shared?.base_url
  // A provider of one's own without an address is OpenAI under another name.
  const provider = shared && (shared.provider ?? (baseUrl === undefined ? 'openai' : written.provider))
  return {
    ...present(shared ?? {}),
    ...present(written),
    provider: provider ?? written.provider,
    provider_opts: { ...shared?.provider_opts, ...written.provider_opts },
    cost: written.cost && { input: 0, output: 0, ...present(written.cost) },
  }
}

function own<T>(entries: Readonly<Record<string, T>> | undefined, key: string | undefined): T | undefined {
  return entries && key !== undefined && Object.hasOwn(entries, key) ? entries[key] : undefined
}

function present(entries: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined))
}
