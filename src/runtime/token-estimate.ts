import type { ChatMessage, Item, Usage } from '../protocol/protocol.ts'
import { sentHistory, sentMessages } from './sent-history.ts'

export const charactersPerToken = 3.5
const perMessage = 5
const perAttachment = 1500

/** Estimates are corrected by what providers report, as far as that, and only where there is enough to tell. */
const correction = { least: 0.75, most: 2, from: 512 } as const

/** Tokens of messages, as well as that can be told without asking their model. */
export function estimatedTokens(messages: readonly ChatMessage[]): number {
  return messages.reduce((sum, message) => sum + tokensOf(message), 0)
}

/** Characters of a message of so many tokens. */
export function charactersIn(tokens: number): number {
  return Math.max(0, Math.floor((tokens - perMessage) * charactersPerToken))
}

/** Tokens that the next call would send: what the last answer reported, and an estimate of what came after it. */
export function usedTokens(items: readonly Item[]): number {
  const { summary, start, since } = sentHistory(items)
  // What was reported before the summary is not what is sent now.
  const reports = items.flatMap(({ message }, place) => {
    const usage = message?.message.usage
    return usage !== undefined && place >= since && read(usage) > 0 ? [{ place, usage }] : []
  })
  const first = reports.at(0)
  const last = reports.at(-1)
  if (first === undefined || last === undefined) {
    const summaries = summary === undefined ? [] : [{ role: 'user' as const, content: summary }]
    return estimatedTokens([...summaries, ...sentMessages(items.slice(start))])
  }
  const growth = read(last.usage) - read(first.usage)
  const factor = factorOf(growth, estimatedTokens(sentMessages(items.slice(first.place, last.place))))
  const later = estimatedTokens(sentMessages(items.slice(last.place + 1)))
  return read(last.usage) + last.usage.output_tokens + factor * later
}

function read({ input_tokens, cached_input_tokens, cached_write_tokens }: Usage): number {
  return input_tokens + cached_input_tokens + cached_write_tokens
}

function factorOf(reported: number, estimated: number): number {
  if (estimated < correction.from) return 1
  return Math.min(Math.max(reported / estimated, correction.least), correction.most)
}

function tokensOf({ content, reasoning_content = '', multi_content = [], tool_calls = [] }: ChatMessage): number {
  const calls = tool_calls.reduce((sum, { function: f }) => sum + (f.name?.length ?? 0) + (f.arguments?.length ?? 0), 0)
  const texts = multi_content.reduce((sum, part) => sum + (content === '' ? (part.text?.length ?? 0) : 0), 0)
  const attachments = multi_content.filter(({ type }) => type !== 'text').length
  const characters = content.length + reasoning_content.length + calls + texts
  return characters / charactersPerToken + perMessage + attachments * perAttachment
}
