import type { InputMessage } from '../../protocol/protocol.ts'

/**
 * What a list of messages adds to a conversation. Some clients send their whole history with every run: when the list holds
 * assistant entries, only the user's entries after the last of them are new. Without one every entry is a user's, whatever
 * it is called.
 */
export function newInput(messages: readonly InputMessage[]): readonly InputMessage[] {
  const last = messages.findLastIndex((message) => message.role === 'assistant')
  return last === -1 ? messages : messages.slice(last + 1).filter(({ role = '' }) => role === '' || role === 'user')
}
