import type { ChatMessage, Item } from '../protocol/protocol.ts'

/** What of a history models are sent: the last summary in place of what it stands for, and the messages after it. */
export interface SentHistory {
  readonly summary: string | undefined
  /** Place of the first item that is sent as it is. */
  readonly start: number
  /** Place of the first item that was added since the summary. */
  readonly since: number
}

export function sentHistory(items: readonly Item[]): SentHistory {
  const place = items.findLastIndex((item) => item.summary !== undefined)
  const since = place + 1
  const { summary, first_kept_entry: start = since } = items[place] ?? {}
  return { summary, start, since }
}

/** Answers that were cut, failures and summaries are shown to people and never sent to a model. */
export function sentMessages(items: readonly Item[]): readonly ChatMessage[] {
  return items.flatMap(({ message }) => (message === undefined || !isSent(message.message) ? [] : [message.message]))
}

function isSent({ role, finish_reason }: ChatMessage): boolean {
  return role !== 'system' && finish_reason !== 'interrupted'
}
