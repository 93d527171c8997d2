import type { Agent, AgentFile, ModelConfig } from '../agent-file/agent-file.ts'
import { ModelDefinition, type Models, parseModelRef } from '../models/models.ts'
import { Refusal } from '../protocol/protocol.ts'
import { unsupportedInModel } from './unsupported.ts'

/** What a reference means in an agent file. */
export interface ResolvedModel {
  /** The model; of several the one that stands for them. */
  readonly definition: ModelDefinition
  /** Reference to the model that makes titles, if not this one. */
  readonly titleModel: string | undefined
  /** Reference to the model that makes summaries, if not this one. */
  readonly compactionModel: string | undefined
  /** From which share of the context window on summaries are made, where the model says it. */
  readonly compactionThreshold: number | undefined
  /** All models that take turns, this one first; empty where it answers alone. */
  readonly rotation: readonly ResolvedModel[]
  /** Models that take what is like their examples; everything else is this model's. */
  readonly routes: readonly Route[]
}

export interface Route {
  readonly model: ResolvedModel
  readonly examples: readonly string[]
}

/** What resolving has to know of the models there are. */
export type KnownModels = Pick<Models, 'automatic' | 'missingKeys'>

/**
 * Resolves a key of the file's `models`, an inline `provider/model`, `auto`, or several of them that take turns
 * (`a,b`), completed by what the file's `providers` share. Throws `Refusal('invalid_model')`, with details where the
 * reference asks for what is not built; for want of a key only where the choice depends on it.
 */
export function resolveModel(file: AgentFile, ref: string, models: KnownModels): ResolvedModel {
  return resolve({ file, models, passed: [] }, ref)
}

/** What the author chose; who chooses nothing leaves it to the program. */
export function modelOf(agent: Agent): string {
  return agent.model ?? 'auto'
}

/** The same, `undefined` instead of a refusal. */
export function findModel(file: AgentFile, ref: string, models: KnownModels): ResolvedModel | undefined {
  return accepted(() => resolveModel(file, ref, models))
}

interface Resolving {
  readonly file: AgentFile
  readonly models: KnownModels
  /** The references on the way here: one that leads back to itself means nothing. */
  readonly passed: readonly string[]
}

function resolve(from: Resolving, ref: string): ResolvedModel {
  const { file, models, passed } = from
  if (passed.includes(ref)) throw new Refusal('invalid_model', `The model ${ref} leads back to itself.`)
  const on = { ...from, passed: [...passed, ref] }
  const details = unsupportedInModel(ref, file.models)
  const [unsupported] = details
  if (unsupported) throw new Refusal('invalid_model', unsupported.message, { details })
  const written: ModelConfig | undefined = own(file.models, ref) ?? parseModelRef(ref)
  if (written?.first_available) return firstAvailable(on, ref, written, written.first_available)
  if (written) return one(on, ref, written)
  if (ref === 'auto') return resolve(on, models.automatic())
  if (ref.includes(',')) return rotation(on, ref)
  throw new Refusal('invalid_model', `${ref} is neither a model of the agent file nor provider/model.`)
}

function one(on: Resolving, ref: string, written: ModelConfig): ResolvedModel {
  const routes = (written.routing ?? []).map(({ model, examples }) => ({ model: resolve(on, model), examples }))
  const definition = checked(ref, complete(on.file, written))
  return {
    definition,
    titleModel: written.title_model,
    compactionModel: written.compaction_model ?? own(on.file.providers, written.provider)?.compaction_model,
    compactionThreshold: written.compaction_threshold,
    rotation: [],
    routes,
  }
}

function rotation(on: Resolving, refs: string): ResolvedModel {
  const models = refs.split(',').map((ref) => resolve(on, ref.trim()))
  const [first] = models
  if (!first) throw new Refusal('invalid_model', `${refs} names no model.`)
  return { ...first, rotation: models }
}

/** The first that could be called, with what is written beside the list. */
function firstAvailable(on: Resolving, ref: string, written: ModelConfig, refs: readonly string[]): ResolvedModel {
  const missing = new Set<string>()
  for (const candidate of refs) {
    const found = accepted(() => resolve(on, candidate))
    const lacks = found && accepted(() => on.models.missingKeys(found.definition))
    for (const name of lacks ?? []) missing.add(name)
    if (!found || lacks?.length !== 0) continue
    const { first_available: _, ...settings } = written
    const definition = checked(ref, { ...found.definition, ...present({ ...settings, cost: price(written) }) })
    return {
      ...found,
      definition,
      titleModel: written.title_model ?? found.titleModel,
      compactionModel: written.compaction_model ?? found.compactionModel,
      compactionThreshold: written.compaction_threshold ?? found.compactionThreshold,
    }
  }
  const help = missing.size > 0 ? `set one of ${[...missing].join(', ')}` : 'none of them is supported'
  throw new Refusal('invalid_model', `No model of ${ref} (${refs.join(', ')}) is available: ${help}.`)
}

function checked(ref: string, definition: Record<string, unknown>): ModelDefinition {
  const parsed = ModelDefinition.safeParse(definition)
  if (!parsed.success) throw new Refusal('invalid_model', `The model ${ref} cannot be used as it is defined.`)
  return parsed.data
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
    cost: price(written),
  }
}

function price({ cost }: ModelConfig): Record<string, unknown> | undefined {
  return cost && { input: 0, output: 0, ...present(cost) }
}

function accepted<T>(find: () => T): T | undefined {
  try {
    return find()
  } catch (error) {
    if (error instanceof Refusal) return undefined
    throw error
  }
}

function own<T>(entries: Readonly<Record<string, T>> | undefined, key: string | undefined): T | undefined {
  return entries && key !== undefined && Object.hasOwn(entries, key) ? entries[key] : undefined
}

function present(entries: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined))
}
