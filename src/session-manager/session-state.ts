import { createSessionLog, type EventLog } from '../event-log/event-log.ts'
import type { InputMessage, Message, SessionSettings } from '../protocol/protocol.ts'
import type { Agents } from '../runtime/runtime.ts'
import type { InputRecord, ItemBody, ItemRange, ItemRecord, SessionRecord, Store } from '../store/store.ts'
import { InputQueue } from './input-queue.ts'
import { Recorder } from './recorder.ts'
import { Requests } from './requests.ts'
import type { RunSlots } from './run-slots.ts'
import { Transcript } from './transcript.ts'

/** What sessions share with each other. */
export interface Surroundings {
  readonly store: Store
  readonly agents: Agents
  readonly slots: RunSlots
  /** Where sessions work that name no directory. */
  readonly workingDir: string | undefined
  readonly ring: { readonly events: number; readonly bytes: number }
  /** True once the server takes no new work. */
  isDraining(): boolean
  /** Is told of what must not happen, once. */
  onDefect(error: unknown): void
}

/** Everything that one loaded session is made of. Changes are recorded in the breath in which they are made. */
export class SessionState {
  readonly id: string
  readonly log: EventLog
  readonly recorder: Recorder
  readonly queue: InputQueue
  readonly requests: Requests
  readonly around: Surroundings
  #record: SessionRecord
  #transcript: Transcript | undefined

  constructor(record: SessionRecord, around: Surroundings, onLost: () => void) {
    const { store, ring } = around
    this.id = record.id
    this.around = around
    this.#record = record
    this.log = createSessionLog(
      { bounds: () => store.bounds(record.id), read: (after) => store.events(record.id, after) },
      ring,
    )
    this.recorder = new Recorder(record.id, this.log, store, onLost)
    this.queue = new InputQueue(record.id, store.inputs(record.id))
    this.requests = new Requests(record.id, this.recorder, () => store.requests(record.id, 'all'))
  }

  get record(): SessionRecord {
    return this.#record
  }

  update(changes: Partial<SessionRecord>): void {
    this.#record = { ...this.#record, ...changes }
    this.recorder.save({ kind: 'session.put', session: this.#record })
  }

  /** Tells how the session is set now: who draws it need not ask. */
  tellSettings(): void {
    this.recorder.event({ type: 'session_updated', ...settingsOf(this.#record) })
  }

  /** What choosing a model for an agent changes; `''` takes the choice back. */
  modelChoice(agent: string, ref: string): Partial<SessionRecord> {
    const { agent_model_overrides, custom_models_used = [] } = this.#record
    const { [agent]: _, ...others } = agent_model_overrides ?? {}
    if (ref === '') return { agent_model_overrides: others }
    const isNew = ref.includes('/') && !custom_models_used.includes(ref)
    return {
      agent_model_overrides: { ...others, [agent]: ref },
      ...(isNew ? { custom_models_used: [...custom_models_used, ref] } : {}),
    }
  }

  /** The items in memory. Whoever adds items loads them first, so what is not in memory is in the store. */
  get transcript(): Transcript {
    return this.load()
  }

  /** Reads the items into memory, so that what is decided next cannot fail for want of them. */
  load(): Transcript {
    this.#transcript ??= new Transcript(this.id, this.around.store.items(this.id, { from: 0 }))
    return this.#transcript
  }

  /** Items of a session whose transcript may not be in memory. */
  items(range: ItemRange): readonly ItemRecord[] {
    if (this.#transcript === undefined) return this.around.store.items(this.id, range)
    const { items } = this.#transcript
    if ('last' in range) return range.last === 0 ? [] : items.slice(-range.last)
    return items.slice(range.from, range.limit === undefined ? undefined : range.from + range.limit)
  }

  /** The answer that is being written, if any. */
  get partial(): Message | undefined {
    return this.#transcript?.partial
  }

  /** Adds an item and counts it. */
  add(body: ItemBody): ItemRecord {
    const item = this.transcript.add(body)
    this.recorder.save({ kind: 'item.put', item })
    const message = body.kind === 'message' ? body.message.message : undefined
    const cost = body.kind === 'summary' ? body.summary.cost : message?.cost
    this.update({
      num_items: item.position + 1,
      num_messages: this.#record.num_messages + (message === undefined || message.role === 'system' ? 0 : 1),
      cost: this.#record.cost + (cost ?? 0),
    })
    return item
  }

  /** Adds a message and tells it. */
  addMessage(message: Message, runId?: string): ItemRecord {
    const item = this.add({ kind: 'message', message })
    this.recorder.event(
      {
        type: 'message_added',
        ...(message.agent_name === '' ? {} : { agent_name: message.agent_name }),
        message_id: item.id,
        session_position: item.position,
        message: { ...message, id: item.id },
      },
      runId,
    )
    return item
  }

  /** Adds what a user said and tells it. */
  addUserMessage({ content, multi_content }: InputMessage, runId: string, inputId?: string): Message {
    const parts = multi_content == null || multi_content.length === 0 ? {} : { multi_content }
    const created_at = new Date().toISOString()
    const message: Message = { agent_name: '', message: { role: 'user', content, ...parts, created_at } }
    const item = this.add({ kind: 'message', message })
    this.recorder.event(
      {
        type: 'user_message',
        message: content,
        ...parts,
        session_position: item.position,
        message_id: item.id,
        ...(inputId === undefined ? {} : { input_id: inputId }),
      },
      runId,
    )
    return { ...message, id: item.id }
  }

  /** Delivers an input to a run: from now on it is part of the conversation. */
  deliver(input: InputRecord, runId: string): Message {
    this.recorder.save({ kind: 'input.put', input: { ...input, state: 'delivered', run_id: runId } })
    return this.addUserMessage(input.message, runId, input.id)
  }
}

function settingsOf(record: SessionRecord): SessionSettings {
  const { tools_approved, safety_policy, permissions, starred, agent_model_overrides } = record
  const { input_tokens, output_tokens, cost } = record
  return {
    tools_approved,
    safety_policy,
    permissions,
    starred,
    agent_model_overrides,
    input_tokens,
    output_tokens,
    cost,
  }
}
