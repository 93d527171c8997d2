import type { LanguageModelV4 } from '@ai-sdk/provider'
import { optionsKey } from './answer-blocks.ts'
import type { Dialect } from './providers.ts'

type Connection = { readonly baseURL: string; readonly apiKey: string | undefined; readonly fetch?: typeof fetch }

/** Sent where a package insists on a key and the server needs none. */
const noKey = 'none'

type Open = (model: string, connection: Connection) => Promise<LanguageModelV4>

/**
 * How each dialect's package makes a model. Packages are imported on first use: together they would double the time to
 * start. Address and key are always given, since the packages would otherwise read the process's environment.
 */
export const open: Readonly<Record<Dialect, Open>> = {
  openai_chat: async (model, { apiKey = noKey, ...rest }) => {
    const { createOpenAI } = await import('@ai-sdk/openai')
    return createOpenAI({ apiKey, ...rest }).chat(model)
  },
  openai_responses: async (model, { apiKey = noKey, ...rest }) => {
    const { createOpenAI } = await import('@ai-sdk/openai')
    return createOpenAI({ apiKey, ...rest }).responses(model)
  },
  anthropic: async (model, { apiKey = noKey, ...rest }) => {
    const { createAnthropic } = await import('@ai-sdk/anthropic')
    return createAnthropic({ apiKey, ...rest }).languageModel(model)
  },
  google: async (model, { apiKey = noKey, ...rest }) => {
    const { createGoogle } = await import('@ai-sdk/google')
    return createGoogle({ apiKey, ...rest }).languageModel(model)
  },
  compatible: async (model, { apiKey, ...rest }) => {
    const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible')
    const name = optionsKey.compatible
    return createOpenAICompatible({
      name,
      includeUsage: true,
      supportsStructuredOutputs: true,
      ...(apiKey !== undefined && { apiKey }),
      ...rest,
    }).chatModel(model)
  },
}
