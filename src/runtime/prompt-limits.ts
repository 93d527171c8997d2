import type { ChatMessage, MessagePart } from '../protocol/protocol.ts'

/** In tokens, of about four characters; zero or nothing is no limit. */
export interface PromptLimits {
  /** Of the calls and results of tools, newest first: what is older is replaced by a mark. */
  readonly oldToolCalls?: number | undefined
  /** Of one result, which is cut in its middle. */
  readonly toolResult?: number | undefined
}

const charactersPerToken = 4
const forgotten = '[an old result, left out]'

/** A conversation as the agent's limits let a model see it. */
export function bounded(messages: readonly ChatMessage[], limits: PromptLimits): readonly ChatMessage[] {
  const longest = (limits.toolResult ?? 0) * charactersPerToken
  const cut = longest <= 0 ? messages : messages.map((message) => withShortResult(message, longest))
  const budget = (limits.oldToolCalls ?? 0) * charactersPerToken
  return budget <= 0 ? cut : withoutOldResults(cut, budget)
}

function withShortResult(message: ChatMessage, longest: number): ChatMessage {
  if (message.role !== 'tool' || message.content.length <= longest) return message
  const half = Math.floor(longest / 2)
  const missing = message.content.length - 2 * half
  const content = `${message.content.slice(0, half)}\n[… ${missing} characters left out …]\n${message.content.slice(-half)}`
  return { ...message, content: content.toWellFormed(), multi_content: message.multi_content?.filter(isNoText) }
}

function isNoText({ type }: MessagePart): boolean {
  return type !== 'text'
}

function withoutOldResults(messages: readonly ChatMessage[], budget: number): readonly ChatMessage[] {
  let left = budget
  return messages
    .toReversed()
    .map((message) => {
      const calls = (message.tool_calls ?? []).reduce((sum, call) => sum + (call.function.arguments?.length ?? 0), 0)
      left -= calls + (message.role === 'tool' ? message.content.length : 0)
      const isOld = message.role === 'tool' && left < 0
      return isOld ? { ...message, content: forgotten, multi_content: undefined } : message
    })
    .toReversed()
}
