import type { SharedV4ProviderMetadata } from '@ai-sdk/provider'
import { z } from 'zod'
import type { ChatMessage } from '../protocol/protocol.ts'
import type { Dialect } from './providers.ts'

const Kind = z.enum(['reasoning', 'text', 'tool_call'])
type Kind = z.infer<typeof Kind>

/**
 * One block of an answer as its provider sees it. Reasoning and text blocks are slices of the message's own text, told by
 * their length, so that nothing is stored twice.
 */
export const AnswerBlock = z.object({
  kind: Kind,
  length: z.number().int().nonnegative().default(0),
  /** Of a tool call. */
  id: z.string().optional(),
  metadata: z.record(z.string(), z.json()).optional(),
})
export type AnswerBlock = z.infer<typeof AnswerBlock>

const Kept = z.object({ model: z.string(), blocks: z.array(AnswerBlock) })

/** The name under which the provider's package reads and writes what it wants to see again. */
export const optionsKey: Readonly<Record<Dialect, string>> = {
  openai_chat: 'openai',
  openai_responses: 'openai',
  anthropic: 'anthropic',
  google: 'google',
  compatible: 'compatible',
}

/** What a provider asks to be given back with the next call. Everything else it says about a block is dropped. */
const kept: Readonly<Record<Dialect, Readonly<Partial<Record<Kind, readonly string[]>>>>> = {
  openai_chat: {},
  openai_responses: { reasoning: ['itemId', 'reasoningEncryptedContent'], text: ['phase'] },
  anthropic: { reasoning: ['signature', 'redactedData'] },
  google: { reasoning: ['thoughtSignature'], text: ['thoughtSignature'], tool_call: ['thoughtSignature'] },
  compatible: { tool_call: ['thoughtSignature'] },
}

/** What of a part's metadata is worth keeping. */
export function keptMetadata(
  dialect: Dialect,
  kind: Kind,
  metadata: SharedV4ProviderMetadata | undefined,
): AnswerBlock['metadata'] {
  const all = metadata?.[optionsKey[dialect]] ?? {}
  const found: NonNullable<AnswerBlock['metadata']> = {}
  for (const name of kept[dialect][kind] ?? []) {
    const value = z.json().safeParse(all[name])
    if (value.success && value.data !== null) found[name] = value.data
  }
  return Object.keys(found).length > 0 ? found : undefined
}

/** `provider_metadata` of a message; `undefined` when the provider wants nothing back. */
export function metadataOf(
  provider: string,
  model: string,
  blocks: readonly AnswerBlock[],
): Readonly<Record<string, unknown>> | undefined {
  return blocks.some((block) => block.metadata) ? { [provider]: { model, blocks } } : undefined
}

/**
 * The blocks of a message that this model may see as it saw them when they were written: only its own provider's, for
 * OpenAI only the same model's (what it thought is encrypted for that model), and only while the message's text is as long as it was.
 */
export function blocksFor(
  message: ChatMessage,
  reader: { readonly dialect: Dialect; readonly provider: string; readonly model: string },
): readonly AnswerBlock[] | undefined {
  const parsed = Kept.safeParse(message.provider_metadata?.[reader.provider])
  if (!parsed.success) return undefined
  const { model, blocks } = parsed.data
  if (reader.dialect === 'openai_responses' && model !== reader.model) return undefined
  const lengthOf = (kind: Kind) => blocks.reduce((sum, block) => sum + (block.kind === kind ? block.length : 0), 0)
  const calls = blocks.filter((block) => block.kind === 'tool_call').map((block) => block.id)
  const stored = (message.tool_calls ?? []).map((call) => call.id)
  const untouched =
    lengthOf('text') === message.content.length &&
    lengthOf('reasoning') === (message.reasoning_content ?? '').length &&
    calls.length === stored.length &&
    calls.every((id, place) => id === stored[place])
  return untouched ? blocks : undefined
}
