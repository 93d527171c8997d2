import type { LanguageModelV4Message, LanguageModelV4Prompt, SharedV4ProviderOptions } from '@ai-sdk/provider'
import type { ChatMessage, ToolCall } from '../protocol/protocol.ts'
import { type AnswerBlock, blocksFor, optionsKey } from './answer-blocks.ts'
import { type AttachmentRules, attachments } from './attachments.ts'
import type { Capabilities } from './model-definition.ts'
import type { Dialect } from './providers.ts'
import { ToolCallIds } from './tool-call-ids.ts'

type Reader = {
  readonly dialect: Dialect
  readonly provider: string
  readonly model: string
  readonly capabilities?: Capabilities | undefined
}
type Said<R extends LanguageModelV4Message['role']> = Extract<LanguageModelV4Message, { role: R }>['content']
type AssistantParts = Said<'assistant'>
type ToolParts = Said<'tool'>

type Rules = {
  readonly imageUrls: boolean
  /** System messages may come after others; elsewhere a late one is said as the user. */
  readonly lateSystem: boolean
  /** A tool's result may hold images; elsewhere they follow it as the user's. */
  readonly toolImages: boolean
}

const rules: Readonly<Record<Dialect, Rules>> = {
  openai_chat: { imageUrls: true, lateSystem: true, toolImages: false },
  openai_responses: { imageUrls: true, lateSystem: true, toolImages: true },
  anthropic: { imageUrls: true, lateSystem: false, toolImages: true },
  google: { imageUrls: false, lateSystem: false, toolImages: true },
  compatible: { imageUrls: true, lateSystem: true, toolImages: false },
}

/** Mistral refuses a request with a PDF in the form in which OpenAI and those like it take one. */
function attachmentRules({ dialect, provider, capabilities }: Reader): AttachmentRules {
  const { image: images = true, pdf: pdfs = provider !== 'mistral' } = capabilities ?? {}
  return { imageUrls: rules[dialect].imageUrls, images, pdfs }
}

/**
 * A transcript as the provider packages take it. Interrupted answers and empty messages are left out, every tool call is
 * followed by exactly one result and every result has its call, ids are as the provider takes them, and what only another
 * provider understands stays behind.
 */
export function prompt(messages: readonly ChatMessage[], reader: Reader, steady?: number): LanguageModelV4Prompt {
  const sent = messages.filter((message) => message.finish_reason !== 'interrupted')
  const ids = new ToolCallIds(reader)
  const out: LanguageModelV4Prompt = []
  for (const [place, message] of sent.entries()) {
    switch (message.role) {
      case 'system':
        out.push(...system(message, reader, out))
        break
      case 'user':
        out.push(...user(message, reader))
        break
      case 'assistant':
        out.push(...assistant(message, resultsAfter(sent, place), reader, ids))
        break
      // Taken together with the answer that asked for it.
      case 'tool':
        break
    }
  }
  if (reader.dialect === 'anthropic') markForCache(out, steady)
  return reader.provider === 'mistral' ? bridged(out) : out
}

/** Mistral takes nothing but an answer after results, while people may speak at any time. */
function bridged(messages: LanguageModelV4Prompt): LanguageModelV4Prompt {
  return messages.flatMap((message, place): LanguageModelV4Message[] => {
    if (message.role !== 'user' || messages[place - 1]?.role !== 'tool') return [message]
    return [{ role: 'assistant', content: [{ type: 'text', text: 'I have read the results.' }] }, message]
  })
}

function system(message: ChatMessage, reader: Reader, before: LanguageModelV4Prompt): LanguageModelV4Message[] {
  if (message.content.trim() === '') return []
  const leading = before.every((one) => one.role === 'system')
  if (leading || rules[reader.dialect].lateSystem) return [{ role: 'system', content: message.content }]
  return [{ role: 'user', content: [{ type: 'text', text: message.content }] }]
}

/** `content` repeats what the text parts say, so it is read only where there are none. */
function user(message: ChatMessage, reader: Reader): LanguageModelV4Message[] {
  const parts = message.multi_content ?? []
  const said = parts.some((part) => part.type === 'text' && part.text) || message.content === ''
  const content = attachments(parts, attachmentRules(reader))
  if (!said) content.unshift({ type: 'text', text: message.content })
  return content.length > 0 ? [{ role: 'user', content }] : []
}

/** The results between an answer and the next one: an id is unique in its answer only, some servers count from 0. */
function resultsAfter(messages: readonly ChatMessage[], place: number): ReadonlyMap<string, ChatMessage> {
  const results = new Map<string, ChatMessage>()
  for (const message of messages.slice(place + 1)) {
    if (message.role === 'assistant') break
    if (message.role === 'tool') results.set(message.tool_call_id ?? '', message)
  }
  return results
}

function assistant(
  message: ChatMessage,
  results: ReadonlyMap<string, ChatMessage>,
  reader: Reader,
  ids: ToolCallIds,
): LanguageModelV4Message[] {
  const answers = (message.tool_calls ?? []).map((call) => {
    const { id = '' } = call
    return { call: { ...call, id: ids.next(id) }, result: results.get(id) }
  })
  const calls = answers.map(({ call }) => call)
  const blocks = blocksFor(message, reader) ?? plainBlocks(message, reader)
  const content = replayed(message, calls, blocks, optionsKey[reader.dialect])
  if (content.length === 0) return []
  const out: LanguageModelV4Message[] = [{ role: 'assistant', content }]
  if (calls.length === 0) return out
  out.push({ role: 'tool', content: answers.map(({ call, result }) => toolResult(call, result, reader)) })
  if (!rules[reader.dialect].toolImages) out.push(...followingImages(answers, reader))
  return out
}

/** A message without its provider's blocks, or by the ancestor, which kept one signature a message. */
function plainBlocks(message: ChatMessage, reader: Reader): readonly AnswerBlock[] {
  const own = message.model?.startsWith(`${reader.provider}/`) === true && message.provider_metadata === undefined
  const thinking = own && reader.dialect === 'anthropic' ? message.thinking_signature : undefined
  const thought = own && reader.dialect === 'google' ? message.thought_signature : undefined
  const calls = (message.tool_calls ?? []).map((call, place): AnswerBlock => {
    const block: AnswerBlock = { kind: 'tool_call', length: 0, id: call.id }
    return thought !== undefined && place === 0 ? { ...block, metadata: { thoughtSignature: thought } } : block
  })
  const reasoning: AnswerBlock = { kind: 'reasoning', length: message.reasoning_content?.length ?? 0 }
  const text: AnswerBlock = { kind: 'text', length: message.content.length }
  return [thinking === undefined ? reasoning : { ...reasoning, metadata: { signature: thinking } }, text, ...calls]
}

/** Reasoning goes back only with what its provider signed it with: unsigned, no provider takes it. */
function replayed(
  message: ChatMessage,
  called: readonly ToolCall[],
  blocks: readonly AnswerBlock[],
  key: string,
): AssistantParts {
  const parts: AssistantParts = []
  const at = { text: 0, reasoning: 0 }
  const calls = [...called]
  for (const { kind, length, metadata } of blocks) {
    const extra: { providerOptions?: SharedV4ProviderOptions } = metadata
      ? { providerOptions: { [key]: metadata } }
      : {}
    if (kind === 'tool_call') {
      const call = calls.shift()
      if (call) parts.push({ type: 'tool-call', ...callNames(call), input: parsed(call.function.arguments), ...extra })
      continue
    }
    const source = kind === 'text' ? message.content : (message.reasoning_content ?? '')
    const text = source.slice(at[kind], at[kind] + length)
    at[kind] += length
    if (kind === 'text' ? text !== '' || metadata : metadata) parts.push({ type: kind, text, ...extra })
  }
  return parts
}

function toolResult(call: ToolCall, result: ChatMessage | undefined, reader: Reader): ToolParts[number] {
  const about = { type: 'tool-result' as const, ...callNames(call) }
  if (!result) return { ...about, output: { type: 'error-text', value: 'There is no result: the call did not end.' } }
  const images = rules[reader.dialect].toolImages ? media(result, reader) : []
  if (images.length > 0) {
    return { ...about, output: { type: 'content', value: [{ type: 'text', text: result.content }, ...images] } }
  }
  // The text of an error is sent as text everywhere: marked as an error, OpenAI's package wraps it in JSON.
  const marked = result.is_error && reader.dialect === 'anthropic'
  return { ...about, output: { type: marked ? 'error-text' : 'text', value: result.content } }
}

function followingImages(
  answers: readonly { readonly call: ToolCall; readonly result: ChatMessage | undefined }[],
  reader: Reader,
): LanguageModelV4Message[] {
  return answers.flatMap(({ call, result }): LanguageModelV4Message[] => {
    const images = result ? media(result, reader) : []
    if (images.length === 0) return []
    const heading = { type: 'text' as const, text: `From the result of ${call.function.name ?? 'the tool'}:` }
    return [{ role: 'user', content: [heading, ...images] }]
  })
}

function media(result: ChatMessage, reader: Reader) {
  const parts = (result.multi_content ?? []).filter((part) => part.type !== 'text')
  return attachments(parts, attachmentRules(reader))
}

function callNames(call: ToolCall): { readonly toolCallId: string; readonly toolName: string } {
  return { toolCallId: call.id ?? '', toolName: call.function.name ?? '' }
}

/** A model's broken JSON cannot be sent back as it was: providers want an object. */
function parsed(text: string | undefined): unknown {
  try {
    const value: unknown = JSON.parse(text || '{}')
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
  } catch {
    return {}
  }
}

/** Anthropic caches up to a mark: one after what is `steady`, two at the end so that the next turn finds this one. */
function markForCache(messages: LanguageModelV4Prompt, steady: number | undefined): void {
  const instructions = steady ? steady - 1 : messages.findLastIndex((message) => message.role === 'system')
  for (const place of new Set([instructions, messages.length - 2, messages.length - 1])) {
    const message = messages[place]
    if (message) message.providerOptions = { anthropic: { cacheControl: { type: 'ephemeral' } } }
  }
}
