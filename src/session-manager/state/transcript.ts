import { type ChatMessage, type Item, type Message, newId } from '../../protocol/protocol.ts'
import type { CountedBelow, ItemBody, ItemRecord } from '../../store/store.ts'

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

  /** The items as a prompt is built from them, each in its position; nothing stands where a run was rolled back. */
  get history(): readonly Item[] {
    return this.#items.map((item) => (isVisible(item) ? toItem(item) : {}))
  }

  add(body: ItemBody): ItemRecord {
    const item: ItemRecord = { id: newId(), session_id: this.#sessionId, position: this.#items.length, body }
    this.#items.push(item)
    return item
  }

  /** Replaces a message; `undefined` when no message has that id. */
  replace(id: string, message: Message): ItemRecord | undefined {
    const index = this.#items.findIndex((item) => item.id === id && item.body.kind === 'message' && isVisible(item))
    const found = this.#items[index]
    if (found === undefined) return undefined
    const item: ItemRecord = { ...found, body: { kind: 'message', message } }
    this.#items[index] = item
    return item
  }

  /** Marks everything from a position on as rolled back with a run; answers what was marked. */
  rollBack(from: number, runId: string): readonly ItemRecord[] {
    const gone = this.#items.slice(from).filter(isVisible)
    const marked = gone.map((item): ItemRecord => ({ ...item, body: { ...item.body, rolled_back: runId } }))
    for (const item of marked) this.#items[item.position] = item
    return marked
  }

  /** Changes what is counted of a task; nothing where that is not known. */
  recountBelow(sessionId: string, change: (counted: CountedBelow) => CountedBelow): ItemRecord | undefined {
    const index = this.#items.findLastIndex(({ body }) => body.kind === 'sub_session' && body.session_id === sessionId)
    const found = this.#items[index]
    if (found?.body.kind !== 'sub_session' || found.body.counted === undefined) return undefined
    const item: ItemRecord = { ...found, body: { ...found.body, counted: change(found.body.counted) } }
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

/** The items that are part of the conversation. */
export function visible<I extends ItemRecord>(items: readonly I[]): readonly I[] {
  return items.filter(isVisible)
}

export function isVisible({ body }: ItemRecord): boolean {
  return body.rolled_back === undefined
}

/** What users have said since an agent has last answered in words. */
export function unanswered(items: readonly ItemRecord[]): readonly ChatMessage[] {
  const messages = visible(items).flatMap(({ body }) => (body.kind === 'message' ? [body.message] : []))
  const last = messages.findLastIndex((message) => isAnswer(message) && message.message.content !== '')
  return messages.slice(last + 1).flatMap(({ message }) => (message.role === 'user' ? [message] : []))
}

/** The text of the last answer among the items. */
export function lastText(items: readonly ItemRecord[]): string {
  const answers = visible(items).flatMap(({ body }) => (body.kind === 'message' ? [body.message.message] : []))
  return answers.findLast(({ role }) => role === 'assistant')?.content ?? ''
}
