import { newId, Refusal } from '../protocol/protocol.ts'
import type { ItemRecord, SessionRecord } from '../store/store.ts'
import { forkTitle, newRecord } from './session-record.ts'

/** A copy of a session as it was before one of its user messages. */
export interface Fork {
  readonly record: SessionRecord
  readonly items: readonly ItemRecord[]
}

/**
 * Copies settings and every item before the N-th user message (from 0); that message is left out. Throws
 * `Refusal('invalid_request')` when there is no such message.
 */
export function forkOf(
  parent: SessionRecord,
  items: readonly ItemRecord[],
  userMessageIndex: number,
  titlesLike: (prefix: string) => readonly string[],
): Fork {
  const userMessages = items.filter(({ body }) => body.kind === 'message' && body.message.message.role === 'user')
  const target = userMessages[userMessageIndex]
  if (target === undefined) {
    const last = userMessages.length - 1
    const message = last < 0 ? 'the session has no user message' : `must be from 0 to ${last}`
    throw new Refusal('invalid_request', 'There is no such user message', {
      details: [{ path: 'body.user_message_index', message }],
    })
  }
  const { id, created_at } = newRecord({}, undefined)
  const copied = items.slice(0, target.position).map((item): ItemRecord => ({ ...item, id: newId(), session_id: id }))
  const title = forkTitle(parent.title, titlesLike)
  return { record: { ...parent, id, created_at, title, agent: undefined, ...countersOf(copied) }, items: copied }
}

function countersOf(items: readonly ItemRecord[]): Partial<SessionRecord> {
  const messages = items.flatMap(({ body }) => (body.kind === 'message' ? [body.message.message] : []))
  const usage = messages.findLast((message) => message.usage !== undefined)?.usage
  const costs = items.map(({ body }) => (body.kind === 'summary' ? body.summary.cost : undefined) ?? 0)
  return {
    num_items: items.length,
    num_messages: messages.filter((message) => message.role !== 'system').length,
    input_tokens: usage === undefined ? 0 : usage.input_tokens + usage.cached_input_tokens + usage.cached_write_tokens,
    output_tokens: usage?.output_tokens ?? 0,
    cost: messages.reduce((sum, message) => sum + (message.cost ?? 0), 0) + costs.reduce((sum, cost) => sum + cost, 0),
  }
}
