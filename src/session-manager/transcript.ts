import { type Item, type Message, newId } from '../protocol/protocol.ts'
import type { ItemBody, ItemRecord } from '../store/store.ts'
import type { TreeItem } from './session-tree.ts'

/** The items of a loaded session, and the answer that is being written. */
export class Transcript {
  readonly #sessionId: string
  readonly #items: ItemRecord[]
  #partial: { agent: string; content: string; reasoning: string } | undefined

  constructor(sessionId: string, stored: readonly ItemRecord[]) {
    this.#sessionId = sessionId
    this.#items = [...stored]
  }

  get items(): readonly ItemRecord[] {
    return this.#items
  }

  /** The items as a prompt is built from them. */
  get history(): readonly Item[] {
    return this.#items.map(toItem)
  }

  add(body: ItemBody): ItemRecord {
    const item: ItemRecord = { id: newId(), session_id: this.#sessionId, position: this.#items.length, body }
    this.#items.push(item)
    return item
  }

  /** Replaces a message; `undefined` when no message has that id. */
  replace(id: string, message: Message): ItemRecord | undefined {
    const index = this.#items.findIndex((item) => item.id === id && item.body.kind === 'message')
    const found = this.#items[index]
    if (found === undefined) return undefined
    const item: ItemRecord = { ...found, body: { kind: 'message', message } }
    this.#items[index] = item
    return item
  }

  /** Adds a delta to the answer that is being written. */
  grow(agent: string, delta: { readonly content?: string; readonly reasoning?: string }): void {
    this.#partial ??= { agent, content: '', reasoning: '' }
    this.#partial.content += delta.content ?? ''
    this.#partial.reasoning += delta.reasoning ?? ''
  }

  /** The answer that is being written is complete, and stored as a message of its own. */
  finishPartial(): void {
    this.#partial = undefined
  }

  /** The answer that is being written: exactly the deltas so far. */
  get partial(): Message | undefined {
    if (this.#partial === undefined) return undefined
    const { agent, content, reasoning } = this.#partial
    return {
      agent_name: agent,
      message: { role: 'assistant', content, ...(reasoning === '' ? {} : { reasoning_content: reasoning }) },
      partial: true,
    }
  }
}

/** An answer that was cut, as the item that keeps it: shown to people, never sent to a model. */
export function interrupted({ partial: _, ...message }: Message): Message {
  const created_at = new Date().toISOString()
  return { ...message, message: { ...message.message, finish_reason: 'interrupted', created_at } }
}

/** What a model has said as a whole. */
export function isAnswer({ message }: Message): boolean {
  return message.role === 'assistant' && message.finish_reason !== 'interrupted'
}

export function toItem({ id, body }: ItemRecord): Item {
  switch (body.kind) {
    case 'message':
      return { message: { ...body.message, id } }
    case 'error':
      return { error: body.error }
    case 'summary':
      return body.summary
    case 'termination':
      return { termination: body.termination }
    case 'sub_session':
      return { sub_session: { id: body.session_id } }
  }
}

/** The messages among the items and below them, each with the id that addresses it; system messages are not shown. */
export function toMessages(items: readonly TreeItem[]): readonly Message[] {
  return items.flatMap(({ id, body, below }) => {
    if (below !== undefined) return toMessages(below.items)
    return body.kind === 'message' && body.message.message.role !== 'system' ? [{ ...body.message, id }] : []
  })
}

/** The text of the last answer among the items. */
export function lastText(items: readonly ItemRecord[]): string {
  const answers = items.flatMap(({ body }) => (body.kind === 'message' ? [body.message.message] : []))
  return answers.findLast(({ role }) => role === 'assistant')?.content ?? ''
}
