import type { LanguageModel, ModelFinish, ModelPart, ModelRequest } from '../../src/models/models.ts'
import type { ChatMessage } from '../../src/protocol/protocol.ts'

export function user(content: string): ChatMessage {
  return { role: 'user', content }
}

export function turn(messages: readonly ChatMessage[], more: Partial<ModelRequest> = {}): ModelRequest {
  return { purpose: 'turn', messages, tools: [], ...more }
}

export type Collected = {
  readonly parts: readonly ModelPart[]
  readonly text: string
  readonly reasoning: string
  /** Arguments as they were streamed, by call id. */
  readonly streamed: Readonly<Record<string, { readonly name: string; readonly arguments: string }>>
  readonly finish: ModelFinish
}

/** Reads one answer to its end and checks that `finish` is its last part and comes once. */
export async function collect(
  model: LanguageModel,
  request: ModelRequest,
  signal: AbortSignal = new AbortController().signal,
): Promise<Collected> {
  const parts = await Array.fromAsync(model.stream(request, signal))
  const finish = parts.at(-1)
  if (finish?.type !== 'finish' || parts.filter((part) => part.type === 'finish').length !== 1) {
    throw new Error('the answer has no single finish at its end')
  }
  const streamed: Record<string, { name: string; arguments: string }> = {}
  for (const part of parts) {
    if (part.type !== 'tool_call') continue
    const call = streamed[part.id] ?? { name: part.name ?? '', arguments: '' }
    streamed[part.id] = { ...call, arguments: call.arguments + part.arguments }
  }
  const join = (type: 'text' | 'reasoning') => parts.map((part) => (part.type === type ? part.text : '')).join('')
  return { parts, text: join('text'), reasoning: join('reasoning'), streamed, finish }
}

/** The answer as the transcript stores it. */
export function stored(model: LanguageModel, { text, reasoning, finish }: Collected): ChatMessage {
  const { tool_calls, provider_metadata, thinking_signature, thought_signature, finish_reason } = finish
  return {
    role: 'assistant',
    content: text,
    model: model.ref,
    finish_reason,
    ...(reasoning !== '' && { reasoning_content: reasoning }),
    ...(tool_calls.length > 0 && { tool_calls: [...tool_calls] }),
    ...(provider_metadata && { provider_metadata: { ...provider_metadata } }),
    ...(thinking_signature !== undefined && { thinking_signature }),
    ...(thought_signature !== undefined && { thought_signature }),
  }
}
