import { isDeepStrictEqual } from 'node:util'
import { type InputMessage, Refusal } from '../../protocol/protocol.ts'
import type { SessionState } from '../state/session-state.ts'
import { unanswered } from '../state/transcript.ts'

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

/**
 * The same against what the session holds: after a run that has said nothing, a history that is sent again has no assistant
 * entry. When a list begins with all that users have said since the last answer, and goes on, only the rest is new; what is
 * about to be delivered counts as said.
 */
export function unheard(messages: readonly InputMessage[], { transcript, queue }: Heard): readonly InputMessage[] {
  if (messages.length < 2) return messages
  const said = unanswered(transcript.items)
  const isSentAgain = said.length > 0 && said.length < messages.length && agree(said, messages)
  const rest = isSentAgain ? messages.slice(said.length) : messages
  const waiting = queue.ready.map(({ message }) => message)
  const isQueued = agree(waiting, rest) && (isSentAgain || waiting.length < rest.length)
  return isQueued ? rest.slice(waiting.length) : rest
}

type Heard = Pick<SessionState, 'transcript' | 'queue'>

/** As far as both go. */
function agree(said: readonly InputMessage[], again: readonly InputMessage[]): boolean {
  return said.slice(0, again.length).every((message, index) => isSame(message, again[index]))
}

function isSame(said: InputMessage, again: InputMessage | undefined): boolean {
  return again?.content === said.content && isDeepStrictEqual(again.multi_content ?? [], said.multi_content ?? [])
}
