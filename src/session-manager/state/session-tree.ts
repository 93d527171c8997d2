import type { Message } from '../../protocol/protocol.ts'
import type { ItemRecord, SessionRecord } from '../../store/store.ts'
import { isVisible, visible } from './transcript.ts'

/** An item of a session; one that stands for a task has the session that carried it out below it. */
export interface TreeItem extends ItemRecord {
  readonly below?: SessionTree | undefined
}

/** A session with everything below it. */
export interface SessionTree {
  readonly record: SessionRecord
  readonly items: readonly TreeItem[]
  /** The answer that is being written. */
  readonly partial: Message | undefined
}

/** Puts below each item what it stands for; a session that is gone leaves nothing. */
export function grow(items: readonly ItemRecord[], find: (id: string) => SessionTree | undefined): readonly TreeItem[] {
  return items.map((item) => (item.body.kind === 'sub_session' ? { ...item, below: find(item.body.session_id) } : item))
}

/** The answers that are being written below the items, in order. */
export function partialsBelow(items: readonly TreeItem[]): readonly Message[] {
  return visible(items).flatMap(({ below }) => {
    if (below === undefined) return []
    return [...partialsBelow(below.items), ...(below.partial === undefined ? [] : [below.partial])]
  })
}

/** The messages among the items and below them, each with the id that addresses it; system messages are not shown. */
export function toMessages(items: readonly TreeItem[]): readonly Message[] {
  return visible(items).flatMap(({ id, body, below }) => {
    if (below !== undefined) return toMessages(below.items)
    return body.kind === 'message' && body.message.message.role !== 'system' ? [{ ...body.message, id }] : []
  })
}

/** The same with what was rolled back, marked. */
export function toAllMessages(items: readonly TreeItem[], isGone = false): readonly Message[] {
  return items.flatMap((item) => {
    const isRolledBack = isGone || !isVisible(item)
    if (item.below !== undefined) return toAllMessages(item.below.items, isRolledBack)
    const { rolled_back: _, ...body } = item.body
    const mark = isRolledBack ? { rolled_back: true } : {}
    return toMessages([{ ...item, body }]).map((message) => ({ ...message, ...mark }))
  })
}
