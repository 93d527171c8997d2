import type { ChatMessage, Item } from '../protocol/protocol.ts'

const charactersPerToken = 3.5
const perMessage = 5
const perAttachment = 1500

/** Estimates are corrected by what providers report, as far as that, and only by calls that are large enough to tell. */
const correction = { least: 0.75, most: 2, from: 512 } as const

/** Tokens of messages, as well as that can be told without asking their model. */
export function estimatedTokens(messages: readonly ChatMessage[]): number {
  return messages.reduce((sum, message) => sum + tokensOf(message), 0)
}

/** Tokens that the next call would send: what the last answer reported, and an estimate of what came after it. */
export function usedTokens(items: readonly Item[]): number {
  const place = items.findLastIndex((item) => item.summary !== undefined)
  const { summary = '', first_kept_entry: start = place + 1 } = items[place] ?? {}
  const answered = items.findLastIndex(({ message }) => message?.message.usage !== undefined)
  const usage = items[answered]?.message?.message.usage
  const estimate = (end?: number): number =>
    summary.length / charactersPerToken + estimatedTokens(messagesOf(items.slice(start, end)))
  // What was reported before the summary is not what is sent now.
  if (usage === undefined || answered < place) return estimate()
  const prompt = usage.input_tokens + usage.cached_input_tokens + usage.cached_write_tokens
  const factor = factorOf(prompt, estimate(answered))
  return prompt + usage.output_tokens + factor * estimatedTokens(messagesOf(items.slice(answered + 1)))
}

function factorOf(reported: number, estimated: number): number {
  if (estimated < correction.from) return 1
  return Math.min(Math.max(reported / estimated, correction.least), correction.most)
}

function messagesOf(items: readonly Item[]): readonly ChatMessage[] {
  return items.flatMap(({ message }) => (message === undefined ? [] : [message.message]))
}

function tokensOf({ content, reasoning_content = '', multi_content = [], tool_calls = [] }: ChatMessage): number {
  const calls = tool_calls.reduce((sum, { function: f }) => sum + (f.name?.length ?? 0) + (f.arguments?.length ?? 0), 0)
  const texts = multi_content.reduce((sum, part) => sum + (content === '' ? (part.text?.length ?? 0) : 0), 0)
  const attachments = multi_content.filter(({ type }) => type !== 'text').length
  const characters = content.length + reasoning_content.length + calls + texts
  return characters / charactersPerToken + perMessage + attachments * perAttachment
}
