import type { LanguageModelV4StreamPart, LanguageModelV4ToolCall, SharedV4ProviderMetadata } from '@ai-sdk/provider'
import { type AnswerBlock, keptMetadata, metadataOf } from './answer-blocks.ts'
import type { ModelFinish, ModelPart } from './language-model.ts'
import type { Price } from './model-definition.ts'
import { ModelFailure } from './model-failure.ts'
import type { Dialect } from './providers.ts'
import { costOf, usageOf } from './usage.ts'

type Finish = Extract<LanguageModelV4StreamPart, { type: 'finish' }>

type Writer = {
  readonly provider: string
  readonly model: string
  readonly dialect: Dialect
  readonly price: Price | undefined
}

const finishReasons: Readonly<Record<string, ModelFinish['finish_reason']>> = {
  stop: 'stop',
  length: 'length',
  'tool-calls': 'tool_calls',
  'content-filter': 'refusal',
}

/** An answer while it arrives: turns the provider package's parts into ours and remembers what the end must say. */
export class Answer {
  readonly #writer: Writer
  readonly #blocks: AnswerBlock[] = []
  readonly #open = new Map<string, AnswerBlock>()
  readonly #announced = new Set<string>()
  readonly #calls: LanguageModelV4ToolCall[] = []

  constructor(writer: Writer) {
    this.#writer = writer
  }

  /** The part to pass on, if this one is anything to the reader. Throws what the provider reports as an error. */
  take(part: LanguageModelV4StreamPart): ModelPart | undefined {
    switch (part.type) {
      case 'text-start':
      case 'text-delta':
      case 'text-end':
        return this.#words('text', part)
      case 'reasoning-start':
      case 'reasoning-delta':
      case 'reasoning-end':
        return this.#words('reasoning', part)
      case 'tool-input-start':
        return part.providerExecuted ? undefined : this.#announce(part.id, part.toolName, '')
      case 'tool-input-delta':
        if (!this.#announced.has(part.id) || part.delta === '') return undefined
        return { type: 'tool_call', id: part.id, arguments: part.delta }
      case 'tool-call':
        return part.providerExecuted ? undefined : this.#call(part)
      case 'finish':
        return this.#finish(part)
      case 'error':
        throw part.error
      default:
        return undefined
    }
  }

  #words(
    kind: 'text' | 'reasoning',
    part: { readonly id: string; readonly delta?: string; readonly providerMetadata?: SharedV4ProviderMetadata },
  ): ModelPart | undefined {
    const key = `${kind} ${part.id}`
    let block = this.#open.get(key)
    if (!block) {
      block = { kind, length: 0 }
      this.#open.set(key, block)
      this.#blocks.push(block)
    }
    const metadata = keptMetadata(this.#writer.dialect, kind, part.providerMetadata)
    if (metadata) block.metadata = { ...block.metadata, ...metadata }
    if (!part.delta) return undefined
    block.length += part.delta.length
    return { type: kind, text: part.delta }
  }

  #announce(id: string, name: string, args: string): ModelPart {
    this.#announced.add(id)
    return { type: 'tool_call', id, name, arguments: args }
  }

  #call(part: LanguageModelV4ToolCall): ModelPart | undefined {
    const metadata = keptMetadata(this.#writer.dialect, 'tool_call', part.providerMetadata)
    const block: AnswerBlock = { kind: 'tool_call', length: 0, id: part.toolCallId }
    this.#blocks.push(metadata ? { ...block, metadata } : block)
    this.#calls.push(part)
    return this.#announced.has(part.toolCallId) ? undefined : this.#announce(part.toolCallId, part.toolName, part.input)
  }

  #finish(part: Finish): ModelFinish {
    const { unified } = part.finishReason
    if (unified === 'interrupted') {
      throw new ModelFailure(`${this.#writer.provider} ended the answer half-way.`, { reason: 'cut', retryable: true })
    }
    if (unified === 'error') {
      throw new ModelFailure(`${this.#writer.provider} gave up on the answer.`, {
        reason: 'malformed',
        retryable: true,
      })
    }
    const { provider, model, price } = this.#writer
    const refused = unified === 'content-filter'
    const calls = refused ? [] : unified === 'length' ? this.#calls.filter(isWhole) : this.#calls
    const called = unified !== 'length' && calls.length > 0
    const usage = usageOf(part.usage)
    const kept = new Set(calls.map((call) => call.toolCallId))
    const blocks = this.#inOrder().filter((block) => block.kind !== 'tool_call' || kept.has(block.id ?? ''))
    const metadata = metadataOf(provider, model, blocks)
    return {
      type: 'finish',
      finish_reason: called ? 'tool_calls' : (finishReasons[unified] ?? 'null'),
      usage,
      cost: costOf(usage, price),
      tool_calls: calls.map(toolCall),
      ...this.#signatures(blocks),
      ...(metadata && { provider_metadata: metadata }),
    }
  }

  /** A block that holds nothing tells nothing, unless its metadata does. */
  #inOrder(): readonly AnswerBlock[] {
    return this.#blocks.filter((block) => block.kind === 'tool_call' || block.length > 0 || block.metadata)
  }

  /** The same signatures under the names the ancestor stores them by. */
  #signatures(blocks: readonly AnswerBlock[]): Pick<ModelFinish, 'thinking_signature' | 'thought_signature'> {
    const last = (name: string) => blocks.findLast((block) => block.metadata?.[name] !== undefined)?.metadata?.[name]
    const thinking = last('signature')
    const thought = last('thoughtSignature')
    return {
      ...(typeof thinking === 'string' && { thinking_signature: thinking }),
      ...(typeof thought === 'string' && { thought_signature: thought }),
    }
  }
}

/** Whether the limit of the answer did not cut the call. */
function isWhole({ input }: LanguageModelV4ToolCall): boolean {
  try {
    JSON.parse(input)
    return true
  } catch {
    return false
  }
}

function toolCall(part: LanguageModelV4ToolCall): ModelFinish['tool_calls'][number] {
  return { id: part.toolCallId, type: 'function', function: { name: part.toolName, arguments: part.input } }
}
