import type { ChatMessage, FinishReason, Tool, ToolCall, Usage } from '../protocol/protocol.ts'
import type { Price } from './model-definition.ts'

/** The JSON that an answer must be. Models that cannot be held to a schema are told of it. */
export type AnswerFormat = {
  readonly name: string
  readonly description?: string | undefined
  readonly schema: Readonly<Record<string, unknown>>
  /** The provider may refuse a schema that it cannot enforce word by word. */
  readonly strict?: boolean | undefined
}

/** One call of a model. `title` and `compaction` are calls the server makes for itself. */
export type ModelRequest = {
  readonly purpose: 'turn' | 'title' | 'compaction'
  readonly messages: readonly ChatMessage[]
  /** So many system messages at the beginning stay as they are from one day to the next: worth a cache of their own. */
  readonly steady?: number
  readonly tools: readonly Tool[]
  /** Wins over the definition's `max_tokens`. */
  readonly maxOutputTokens?: number
  /** Thinks as little as the model allows, whatever the definition says. */
  readonly thinking?: 'off'
  /** Of a turn only. */
  readonly format?: AnswerFormat | undefined
}

/** The last part: what the answer cost and what the stored message must carry for the next call. */
export type ModelFinish = {
  readonly type: 'finish'
  readonly finish_reason: Exclude<FinishReason, 'interrupted'>
  readonly usage: Usage
  /** USD; 0 when no price is known. */
  readonly cost: number
  /** Complete calls in the order the model asked for them; empty after a refusal. */
  readonly tool_calls: readonly ToolCall[]
  readonly thinking_signature?: string
  readonly thought_signature?: string
  readonly provider_metadata?: Readonly<Record<string, unknown>>
}

/**
 * What a model says, piece by piece. A tool call's first part carries its name; `arguments` is always only what is new.
 */
export type ModelPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'reasoning'; readonly text: string }
  | { readonly type: 'tool_call'; readonly id: string; readonly name?: string; readonly arguments: string }
  | ModelFinish

export interface LanguageModel {
  /** `provider/model`, as its definition names it. */
  readonly ref: string
  readonly provider: string
  readonly model: string
  /** Tokens that fit into one call, where that is known. */
  readonly contextLimit: number | undefined
  readonly price: Price | undefined
  /**
   * Streams one answer: any number of parts, then exactly one `finish`. Throws a `ModelFailure` when there is no whole
   * answer, also after some parts; throws the signal's reason soon after the signal. Leaving early closes the connection.
   * Never retries.
   */
  stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelPart, void, undefined>
}
