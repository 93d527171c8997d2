import type { ChatMessage } from '../protocol/protocol.ts'

/** The words of a message, each once, in lower case. */
export function messageWords(message: ChatMessage | undefined): ReadonlySet<string> {
  const parts = message?.multi_content ?? []
  return words(message?.content || parts.map(({ text }) => text ?? '').join(' '))
}

/**
 * How much a message is like an example: the number of words that both have, times the share of the example's words that
 * they are. So a whole match of three words counts more than one of a single word, and a chance word next to nothing: less than half
 * of the example is no likeness at all (0).
 */
export function similarity(example: string, message: ReadonlySet<string>): number {
  const wanted = words(example)
  const common = [...wanted].filter((word) => message.has(word)).length
  const share = wanted.size === 0 ? 0 : common / wanted.size
  return share < 0.5 ? 0 : common * share
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu))
}
