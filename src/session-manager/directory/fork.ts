import { newId, Refusal } from '../../protocol/protocol.ts'
import type { ItemBody, ItemRecord, SessionRecord } from '../../store/store.ts'
import { forkTitle, newRecord } from '../state/session-record.ts'
import { grow, type SessionTree, type TreeItem } from '../state/session-tree.ts'
import { visible } from '../state/transcript.ts'

/** A copy of a session as it was before one of its user messages, with copies of the sessions below it. */
export interface Fork extends Copy {
  readonly below: readonly Copy[]
}

interface Copy {
  readonly record: SessionRecord
  readonly items: readonly ItemRecord[]
}

/**
 * Copies settings and every item before the N-th user message (from 0); that message is left out. Throws
 * `Refusal('invalid_request')` when there is no such message, or when it belongs to a task.
 */
export function forkOf(
  parent: SessionRecord,
  all: readonly TreeItem[],
  userMessageIndex: number,
  titlesLike: (prefix: string) => readonly string[],
): Fork {
  const items = visible(all)
  const target = targetOf(items, userMessageIndex)
  const title = forkTitle(parent.title, titlesLike)
  const kept = items.slice(0, target)
  const [copy, ...below] = copies({ ...parent, title, parent_id: undefined }, kept)
  return { ...copy, below }
}

/** The copy with the copies below it. */
export function treeOf({ below, ...top }: Fork): SessionTree {
  const find = (id: string): SessionTree | undefined => {
    const copy = below.find(({ record }) => record.id === id)
    return copy && grown(copy)
  }
  const grown = ({ record, items }: Copy): SessionTree => ({ record, items: grow(items, find), partial: undefined })
  return grown(top)
}

/** Where the message stands among the items. */
function targetOf(items: readonly TreeItem[], userMessageIndex: number): number {
  const places = items.flatMap((item, place) => userMessages(item).map((own) => (own ? place : undefined)))
  const target = places[userMessageIndex]
  if (target !== undefined) return target
  const last = places.length - 1
  const missing = last < 0 ? 'the session has no user message' : `must be from 0 to ${last}`
  const message = userMessageIndex in places ? 'the message belongs to a task of another agent' : missing
  throw new Refusal('invalid_request', 'There is no such user message', {
    details: [{ path: 'body.user_message_index', message }],
  })
}

/** One for each user message of an item: whether it is the session's own. */
function userMessages({ body, below }: TreeItem): readonly boolean[] {
  if (below !== undefined) return visible(below.items).flatMap((item) => userMessages(item).map(() => false))
  return body.kind === 'message' && body.message.message.role === 'user' ? [true] : []
}

/** A session under a new id, and then all below it. */
function copies(record: SessionRecord, all: readonly TreeItem[]): readonly [Copy, ...Copy[]] {
  const { id, created_at } = newRecord({}, undefined)
  const below: Copy[] = []
  const items = visible(all)
  const copied = items.map(({ below: tree, ...item }, position): ItemRecord => {
    const own = { ...item, body: movedBody(item.body, items), position, id: newId(), session_id: id }
    if (tree === undefined) return own
    const [child, ...deeper] = copies({ ...tree.record, parent_id: id }, tree.items)
    below.push(child, ...deeper)
    return { ...own, body: { kind: 'sub_session', session_id: child.record.id } }
  })
  const anew = {
    agent: undefined,
    task_of: undefined,
    compaction: undefined,
    spent: undefined,
    paused: undefined,
    ...countersOf(items),
  }
  return [{ record: { ...record, id, created_at, ...anew }, items: copied }, ...below]
}

/** A summary stands for what is before an item, which may have moved up to where another was rolled back. */
function movedBody(body: ItemBody, items: readonly TreeItem[]): ItemBody {
  if (body.kind !== 'summary' || body.summary.first_kept_entry === undefined) return body
  const { first_kept_entry } = body.summary
  const moved = items.filter(({ position }) => position < first_kept_entry).length
  return { ...body, summary: { ...body.summary, first_kept_entry: moved } }
}

function countersOf(items: readonly TreeItem[]): Partial<SessionRecord> {
  const own = items.flatMap(({ body }) => (body.kind === 'message' ? [body.message.message] : []))
  const usage = own.findLast((message) => message.usage !== undefined)?.usage
  return {
    num_items: items.length,
    num_messages: items.reduce((sum, item) => sum + messagesIn(item), 0),
    input_tokens: usage === undefined ? 0 : usage.input_tokens + usage.cached_input_tokens + usage.cached_write_tokens,
    output_tokens: usage?.output_tokens ?? 0,
    cost: items.reduce((sum, item) => sum + costOf(item), 0),
  }
}

function messagesIn({ body, below }: TreeItem): number {
  return body.kind === 'message' && body.message.message.role !== 'system' ? 1 : countOf(below)
}

function countOf(tree: SessionTree | undefined): number {
  return tree?.record.num_messages ?? 0
}

function costOf({ body, below }: TreeItem): number {
  if (body.kind === 'message') return body.message.message.cost ?? 0
  if (body.kind === 'summary') return body.summary.cost ?? 0
  return below?.record.cost ?? 0
}
