import type { Agent } from '../agent-file/agent-file.ts'
import type { ChatMessage, Item, MessagePart, ToolCall } from '../protocol/protocol.ts'
import type { RunSettings } from './runtime.ts'

/** In tokens, of about four characters; zero or nothing is no limit. */
export interface PromptLimits {
  /** Of the calls and results of tools, newest first: what is older is replaced by a mark. */
  readonly oldToolCalls?: number | undefined
  /** Of one result, which is cut in its middle. */
  readonly toolResult?: number | undefined
}

const charactersPerToken = 4
const forgotten = '[an old result, left out]'
/** Providers want an object. */
const forgottenArguments = '{"note":"old arguments, left out"}'

/** Those of the session win over the agent's. */
export function promptLimits(agent: Agent, settings: RunSettings): PromptLimits {
  return {
    oldToolCalls: settings.max_old_tool_call_tokens || agent.max_old_tool_call_tokens,
    toolResult: settings.max_tool_result_tokens || agent.max_tool_result_tokens,
  }
}

/** A history as the limits let a model see it, item by item. */
export function boundedItems(items: readonly Item[], limits: PromptLimits): readonly Item[] {
  const messages = bounded(
    items.flatMap(({ message }) => message?.message ?? []),
    limits,
  ).values()
  return items.map((item) => {
    const { value } = item.message === undefined ? {} : messages.next()
    return item.message === undefined || value === undefined
      ? item
      : { ...item, message: { ...item.message, message: value } }
  })
}

/** A conversation as the limits let a model see it. */
export function bounded(messages: readonly ChatMessage[], limits: PromptLimits): readonly ChatMessage[] {
  const longest = (limits.toolResult ?? 0) * charactersPerToken
  const cut = longest <= 0 ? messages : messages.map((message) => withShortResult(message, longest))
  const budget = (limits.oldToolCalls ?? 0) * charactersPerToken
  return budget <= 0 ? cut : withoutOldResults(cut, budget)
}

function withShortResult(message: ChatMessage, longest: number): ChatMessage {
  if (message.role !== 'tool' || message.content.length <= longest) return message
  const content = shortened(message.content, longest)
  return { ...message, content, multi_content: message.multi_content?.filter(isNoText) }
}

/** So many characters of a text, from its beginning and its end, and a mark where the others were. */
export function shortened(text: string, longest: number): string {
  const half = Math.floor(longest / 2)
  if (half < 1) return ''
  const missing = text.length - 2 * half
  return `${text.slice(0, half)}\n[… ${missing} characters left out …]\n${text.slice(-half)}`.toWellFormed()
}

function withoutPayload(message: ChatMessage): ChatMessage {
  if (message.role === 'tool') return { ...message, content: forgotten, multi_content: undefined }
  if (message.tool_calls === undefined) return message
  return { ...message, tool_calls: message.tool_calls.map(withoutArguments) }
}

/** Short ones stay, which cost no more than the note would. */
function withoutArguments(call: ToolCall): ToolCall {
  const { arguments: written = '' } = call.function
  const isShort = written.length <= forgottenArguments.length
  return isShort ? call : { ...call, function: { ...call.function, arguments: forgottenArguments } }
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
      return left < 0 ? withoutPayload(message) : message
    })
    .toReversed()
}
