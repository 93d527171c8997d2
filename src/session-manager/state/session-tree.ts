import type { Message } from '../../protocol/protocol.ts'
import type { ItemRecord, SessionRecord } from '../../store/store.ts'
import { visible } from './transcript.ts'

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
