import { createSessionLog, type EventLog } from '../../event-log/event-log.ts'
import type { InputMessage, Message, Request } from '../../protocol/protocol.ts'
import type { CompactionRequest } from '../../runtime/runtime.ts'
import type { InputRecord, ItemBody, ItemRange, ItemRecord, SessionRecord, Store } from '../../store/store.ts'
import { FleetTeller } from '../fleet/fleet-teller.ts'
import { type Answering, InputQueue } from '../inputs/input-queue.ts'
import type { LiveSession } from '../live-session.ts'
import { Requests } from '../requests/requests.ts'
import { SessionFamily } from '../tasks/session-family.ts'
import { unlessDamaged } from '../unless-damaged.ts'
import { toSettings } from '../views/session-view.ts'
import { type Fleet, Recorder } from './recorder.ts'
import { SessionTally } from './session-tally.ts'
import { StoredEvents } from './stored-events.ts'
import type { Surroundings } from './surroundings.ts'
import { Transcript } from './transcript.ts'

/** Everything that one loaded session is made of. Changes are recorded in the breath in which they are made. */
export class SessionState {
  readonly id: string
  readonly log: EventLog
  readonly storedEvents: StoredEvents
  readonly recorder: Recorder
  readonly queue: InputQueue
  readonly requests: Requests
  readonly around: Surroundings
  readonly family: SessionFamily
  readonly tally: SessionTally
  #record: SessionRecord
  #transcript: Transcript | undefined
  /** The compaction that the run has taken and not ended yet. */
  #compacting: CompactionRequest | undefined

  /** `isNew`: nothing of it can be in the store. */
  constructor(record: SessionRecord, around: Surroundings, onLost: () => void, isNew: boolean) {
    const { store, ring } = around
    this.id = record.id
    this.around = {
      ...around,
      onDefect: (error, place) => around.onDefect(error, { session_id: record.id, ...place }),
    }
    this.#record = record
    this.family = new SessionFamily(this)
    this.tally = new SessionTally(this)
    this.storedEvents = new StoredEvents(store, record.id, (error) => around.onDefect(error))
    this.log = createSessionLog(
      { bounds: () => store.bounds(record.id), read: (after) => this.storedEvents.read(after) },
      ring,
      isNew ? 0 : undefined,
    )
    this.recorder = new Recorder(record.id, this.log, store, onLost, this.#fleet(isNew))
    this.queue = new InputQueue(record.id, isNew ? [] : store.inputs(record.id), (type, input, runId) => {
      this.recorder.save({ kind: 'input.put', input })
      this.recorder.event({ type, input }, runId)
    })
    this.requests = new Requests(record.id, this.recorder, {
      stored: () => storedRequests(store, record.id),
      family: () => this.family.top.family.tree.map(({ requests }) => requests),
      usualDeadline: () => this.family.usualDeadline,
      onDefect: (error) => this.around.onDefect(error),
    })
  }

  /** Reads all that it needs now: while a group is closed, nothing may fail. */
  #fleet(isNew: boolean): Fleet {
    const { store, fleet } = this.around
    const above = this.#idsAbove
    const teller = new FleetTeller(
      () => ({ record: this.#record, openRequests: this.family.tree.flatMap(({ requests }) => requests.open), above }),
      isNew ? undefined : store.fleetSession(this.id),
    )
    return {
      hear: (event) => teller.hear(event),
      changesFor: (changes, head) => teller.changesFor(changes, head),
      wake: () => fleet.wake(),
    }
  }

  /** Whoever is above a session is loaded before it. */
  get #idsAbove(): readonly string[] {
    const ids: string[] = []
    for (let id = this.#record.parent_id; id !== undefined; id = this.around.peek(id)?.record.parent_id) ids.unshift(id)
    return ids
  }

  get record(): SessionRecord {
    return this.#record
  }

  update(changes: Partial<SessionRecord>): void {
    this.#record = { ...this.#record, ...changes }
    this.recorder.save({ kind: 'session.put', session: this.#record })
  }

  /** The session whose task this one carries out, or has carried out. */
  get above(): LiveSession | undefined {
    const { parent_id } = this.#record
    return parent_id === undefined ? undefined : this.around.peek(parent_id)
  }

  // Compaction that a run is asked for

  askForCompaction(request: CompactionRequest): void {
    this.update({ compaction: request })
  }

  /** Stays recorded until it has ended: who goes on after a crash takes it again. */
  takeCompaction(): CompactionRequest | undefined {
    const { compaction } = this.#record
    if (compaction === this.#compacting) return undefined
    this.#compacting = compaction
    return compaction
  }

  /** A compaction has ended. One that was asked for meanwhile is still to come. */
  endCompaction(): void {
    const taken = this.#compacting
    this.#compacting = undefined
    if (taken !== undefined && taken === this.#record.compaction) this.update({ compaction: undefined })
  }

  /** Tells that a run has ended before the end of the compaction that it was asked for. */
  skipCompaction(runId: string): void {
    this.#compacting = undefined
    if (this.#record.compaction === undefined) return
    this.update({ compaction: undefined })
    const agent_name = this.#record.agent?.name
    const skipped = { type: 'session_compaction', status: 'completed', outcome: 'skipped' } as const
    this.recorder.event({ ...skipped, ...(agent_name === undefined ? {} : { agent_name }) }, runId)
  }

  /** Who reads what a run takes now. */
  get answering(): Answering {
    const { agent, agent_model_overrides } = this.#record
    return { agent, model: agent && agent_model_overrides?.[agent.name] }
  }

  /** The agent that answers from now on. */
  switchAgent(name: string): void {
    const { agent } = this.#record
    if (agent !== undefined && agent.name !== name) this.update({ agent: { ...agent, name } })
  }

  /** Tells how the session is set now: who draws it need not ask. */
  tellSettings(): void {
    this.recorder.event({ type: 'session_updated', ...toSettings(this.#record) })
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
    this.#transcript ??= new Transcript(this.id, this.#stored({ from: 0 }))
    return this.#transcript
  }

  /** Items of a session whose transcript may not be in memory. */
  items(range: ItemRange): readonly ItemRecord[] {
    if (this.#transcript === undefined) return this.#stored(range)
    const { items } = this.#transcript
    if ('last' in range) return range.last === 0 ? [] : items.slice(-range.last)
    return items.slice(range.from, range.limit === undefined ? undefined : range.from + range.limit)
  }

  /** A session that nothing was said in has nothing to be read. */
  #stored(range: ItemRange): readonly ItemRecord[] {
    return this.#record.num_items === 0 ? [] : this.around.store.items(this.id, range)
  }

  /** The answer that is being written, if any. */
  get partial(): Message | undefined {
    return this.#transcript?.partial
  }

  /** Adds an item and counts it. */
  add(body: ItemBody): ItemRecord {
    const item = this.transcript.add(body)
    this.recorder.save({ kind: 'item.put', item })
    this.update({ num_items: item.position + 1 })
    if (body.kind === 'message')
      this.tally.count({ messages: this.tally.messagesIn(body), cost: body.message.message.cost })
    if (body.kind === 'summary') this.tally.count({ cost: body.summary.cost })
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

  /** Adds a task that another agent has handed over, and tells it. */
  addTask(content: string, runId: string): void {
    const created_at = new Date().toISOString()
    this.addMessage({ agent_name: '', message: { role: 'user', content, created_at }, implicit: true }, runId)
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

  /** An input that a run has taken is part of the conversation from now on. */
  deliver(input: InputRecord, runId: string): Message {
    return this.addUserMessage(input.message, runId, input.id)
  }
}

/** The requests of a session and of all below it. */
function storedRequests(store: Store, id: string): readonly Request[] {
  const below = store.children(id).flatMap((child) => unlessDamaged(() => storedRequests(store, child.id)) ?? [])
  return [...below, ...store.requests(id, 'all')]
}
