import { type InputMessage, Refusal } from '../../protocol/protocol.ts'

/** What a run may begin with: each message is stored and told on its own, in one breath. */
const mostMessages = 1000

/**
 * What a list of messages adds to a conversation. Some clients send their whole history with every run: when the list holds
 * assistant entries, only the user's entries after the last of them are new. Without one every entry is a user's, whatever
 * it is called. Refuses more new ones than a run may begin with.
 */
export function newInput(messages: readonly InputMessage[]): readonly InputMessage[] {
  const last = messages.findLastIndex((message) => message.role === 'assistant')
  const found =
    last === -1 ? messages : messages.slice(last + 1).filter(({ role = '' }) => role === '' || role === 'user')
  if (found.length <= mostMessages) return found
  const message = `has ${found.length} new messages, and a run takes ${mostMessages} at most`
  throw new Refusal('invalid_request', `body.messages: ${message}`, { details: [{ path: 'body.messages', message }] })
}
