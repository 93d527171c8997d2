import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { Answer } from './answer.ts'
import { callOptions } from './call-options.ts'
import { factsOf } from './catalogue.ts'
import type { LanguageModel, ModelPart, ModelRequest } from './language-model.ts'
import type { ModelDefinition } from './model-definition.ts'
import { ModelFailure } from './model-failure.ts'
import { providerFailure } from './provider-failure.ts'
import { open } from './provider-packages.ts'
import { type Endpoint, endpointOf } from './providers.ts'

type Options = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly fetch?: typeof fetch
}

/** A model behind a provider's protocol. Refuses `invalid_model` when the definition cannot be reached at all. */
export async function providerModel(definition: ModelDefinition, options: Options): Promise<LanguageModel> {
  const endpoint = endpointOf(definition, options.env)
  const apiKey = endpoint.tokens.map((name) => options.env[name]).find((value) => value)
  const upstream = await open[endpoint.dialect](definition.model, {
    baseURL: endpoint.baseUrl,
    apiKey,
    ...(options.fetch && { fetch: options.fetch }),
  })
  return new ProviderModel(definition, endpoint, upstream, apiKey)
}

class ProviderModel implements LanguageModel {
  readonly ref: string
  readonly provider: string
  readonly model: string
  readonly contextLimit: number | undefined
  readonly price: LanguageModel['price']
  readonly #definition: ModelDefinition
  readonly #endpoint: Endpoint
  readonly #upstream: LanguageModelV4
  readonly #apiKey: string | undefined

  constructor(definition: ModelDefinition, endpoint: Endpoint, upstream: LanguageModelV4, apiKey: string | undefined) {
    const facts = factsOf(definition)
    this.ref = `${definition.provider}/${definition.model}`
    this.provider = definition.provider
    this.model = definition.model
    this.contextLimit = facts.contextLimit
    this.price = facts.price
    this.#definition = definition
    this.#endpoint = endpoint
    this.#upstream = upstream
    this.#apiKey = apiKey
  }

  async *stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelPart, void, undefined> {
    this.#needKey()
    const { dialect } = this.#endpoint
    const options = callOptions(this.#definition, dialect, request)
    const answer = new Answer({ provider: this.provider, model: this.model, dialect, price: this.price })
    for await (const part of this.#read(options, signal)) {
      const told = this.#judge(() => answer.take(part))
      if (!told) continue
      yield told
      if (told.type === 'finish') return
    }
    throw new ModelFailure(`The model ${this.ref} ended the answer half-way.`, { reason: 'cut', retryable: true })
  }

  #needKey(): void {
    if (this.#apiKey !== undefined || !this.#endpoint.keyRequired) return
    const names = this.#endpoint.tokens.join(' or ')
    const text = `The model ${this.ref} needs an API key: set ${names} in the environment of the server.`
    throw new ModelFailure(text, { reason: 'missing_key' })
  }

  /** The package's parts. Whatever ends it, the connection is closed and no timer or listener stays behind. */
  async *#read(
    options: LanguageModelV4CallOptions,
    signal: AbortSignal,
  ): AsyncGenerator<LanguageModelV4StreamPart, void, undefined> {
    signal.throwIfAborted()
    const stop = new AbortController()
    const leave = () => stop.abort()
    signal.addEventListener('abort', leave, { once: true })
    let answering = false
    try {
      const { stream } = await this.#upstream.doStream({ ...options, abortSignal: stop.signal })
      answering = true
      const reader = stream.getReader()
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        yield value
      }
    } catch (error) {
      signal.throwIfAborted()
      throw this.#failure(error, answering)
    } finally {
      signal.removeEventListener('abort', leave)
      stop.abort()
    }
  }

  /** What the provider reports inside its stream is its failure, not ours. */
  #judge<T>(take: () => T): T {
    try {
      return take()
    } catch (error) {
      throw this.#failure(error, true)
    }
  }

  #failure(error: unknown, answering: boolean): ModelFailure {
    return providerFailure(error, { provider: this.provider, model: this.model, secret: this.#apiKey, answering })
  }
}
