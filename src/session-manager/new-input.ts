import type { InputMessage } from '../protocol/protocol.ts'

/**
 * What a list of messages adds to a conversation. Some clients send their whole history with every run: when the list holds
 * assistant entries, only what follows the last of them is new. Every entry that is new is a user's, whatever it is called.
 */
export function newInput(messages: readonly InputMessage[]): readonly InputMessage[] {
  return messages.slice(messages.findLastIndex((message) => message.role === 'assistant') + 1)
}
