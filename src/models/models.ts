import { type ErrorDetail, Refusal } from '../protocol/protocol.ts'
import { automaticRef } from './automatic.ts'
import { catalogueRefs, factsOf, type ModelFacts } from './catalogue.ts'
import type { LanguageModel } from './language-model.ts'
import { ModelDefinition } from './model-definition.ts'
import { providerModel } from './provider-model.ts'
import { endpointOf, providers } from './providers.ts'
import { scriptedModel } from './scripted-model.ts'
import { watchedModel } from './watched-model.ts'

export type { ModelFacts } from './catalogue.ts'
export type { AnswerFormat, LanguageModel, ModelFinish, ModelPart, ModelRequest } from './language-model.ts'
export { ModelDefinition, Price, ThinkingBudget } from './model-definition.ts'
export { ModelFailure, type ModelFailureCode, type ModelFailureReason } from './model-failure.ts'
export { ScriptedTurn } from './script.ts'
export { Silence } from './silence.ts'
export { costOf } from './usage.ts'

/**
 * Promises.
 * A1 A stream yields parts and then exactly one `finish`, or throws: a `ModelFailure`, or the signal's reason.
 * A2 It leaves soon after the signal, and soon after its reader does; the provider sees the connection closed.
 * A3 Nothing is retried here.
 * A4 No message of a failure holds a key.
 * A5 A provider's package is imported when the first of its models is opened, not before.
 */
export type Models = {
  /**
   * Touches no network and needs no key (a missing one is told by the first call). Refuses `invalid_model` when the
   * definition or its script is wrong or the provider is not supported.
   */
  open(definition: ModelDefinition): Promise<LanguageModel>
  /** What is known about a model, for lists of choices; never refuses. */
  facts(definition: ModelDefinition): ModelFacts
  /** `provider/model` of the catalogue's models whose key is in the environment. */
  available(): readonly string[]
  /**
   * The environment variables of which one must hold a key before this model can be called; empty when nothing is
   * missing. Refuses `invalid_model` as `open` does.
   */
  missingKeys(definition: ModelDefinition): readonly string[]
  /**
   * The reference that `auto` stands for in this environment. Refuses `invalid_model`, naming the variables that would
   * help, when there is none.
   */
  automatic(): string
}

export type ModelsOptions = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly fetch?: typeof fetch
  /**
   * How long a model may send nothing, in milliseconds; 5 minutes unless told, `Infinity` for ever. A call to a provider ends
   * after 5 minutes of silence in any case: `fetch` waits no longer.
   */
  readonly idleTimeoutMs?: number
}

export function createModels({ env, fetch, idleTimeoutMs = 300_000 }: ModelsOptions): Models {
  return {
    open: async (given) => {
      const definition = checked(given)
      const isScripted = definition.provider === 'scripted'
      const opened = isScripted
        ? scriptedModel(definition)
        : providerModel(definition, { env, ...(fetch && { fetch }) })
      return watchedModel(await opened, idleTimeoutMs)
    },
    facts: factsOf,
    available: () => catalogueRefs.filter((ref) => hasKey(ref.slice(0, ref.indexOf('/')), env)),
    missingKeys: (definition) => missingKeys(definition, env),
    automatic: () => automaticRef(env),
  }
}

/** Splits `provider/model`; the model's own name may hold slashes. `undefined` when the text is no such reference. */
export function parseModelRef(ref: string): Pick<ModelDefinition, 'provider' | 'model'> | undefined {
  const [, provider, model] = /^([^/\s,]+)\/([^\s,]+)$/.exec(ref) ?? []
  return provider === undefined || model === undefined ? undefined : { provider, model }
}

function checked(given: ModelDefinition): ModelDefinition {
  const parsed = ModelDefinition.safeParse(given)
  if (parsed.success) return parsed.data
  const details = parsed.error.issues.map((issue): ErrorDetail => {
    return { path: issue.path.join('.'), message: issue.message }
  })
  throw new Refusal('invalid_model', `The model ${given.provider}/${given.model} is not described correctly.`, {
    details,
  })
}

function missingKeys(definition: ModelDefinition, env: ModelsOptions['env']): readonly string[] {
  if (definition.provider === 'scripted') return []
  const { keyRequired, tokens } = endpointOf(definition, env)
  return keyRequired && !tokens.some((name) => env[name]) ? tokens : []
}

function hasKey(provider: string, env: ModelsOptions['env']): boolean {
  return providers[provider]?.tokens.some((name) => env[name]) === true
}
