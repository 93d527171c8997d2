import { isDeepStrictEqual } from 'node:util'
import {
  type HeldBy,
  type InputChange,
  type InputKind,
  type InputMessage,
  newId,
  type QueueState,
  queueCapacity,
  Refusal,
  type SessionAgent,
} from '../../protocol/protocol.ts'
import type { InputRecord } from '../../store/store.ts'

/** What is remembered with a message that waits: who sent it, and who shall read it. */
export type InputOptions = Pick<InputRecord, 'sent_by' | 'agent' | 'agent_name' | 'model'>

/** Who reads what a run takes: the agent that answers, and the model that was chosen for it. */
export interface Answering {
  readonly agent: SessionAgent | undefined
  readonly model: string | undefined
}

type Told = 'input_queued' | 'input_updated' | 'input_settled'

/** Is told, in the breath in which it is decided, how an input is now. */
export type TellInput = (what: Told, input: InputRecord, runId?: string) => void

const kinds = ['steer', 'followup'] as const satisfies readonly InputKind[]

/**
 * The messages that wait for a run of one session, each kind in an order of its own. Bounded: a full queue refuses a list
 * whole. What is held keeps its place and is passed over.
 */
export class InputQueue {
  readonly #sessionId: string
  readonly #tell: TellInput
  readonly #waiting: Record<InputKind, InputRecord[]> = { steer: [], followup: [] }

  constructor(sessionId: string, stored: readonly InputRecord[], tell: TellInput) {
    this.#sessionId = sessionId
    this.#tell = tell
    for (const input of stored) this.#waiting[input.kind].push(input)
    for (const kind of kinds) this.#waiting[kind].sort(byPlace)
  }

  // What clients do

  /** Adds a whole list, or refuses it: `steer_queue_full`, `followup_queue_full`. */
  add(kind: InputKind, messages: readonly InputMessage[], options: InputOptions = {}): readonly InputRecord[] {
    this.#needRoom(kind, messages.length, 'body.messages')
    const created_at = new Date().toISOString()
    return messages.map((message) => {
      const place = this.#placeBefore(kind, undefined)
      const own = {
        id: newId(),
        session_id: this.#sessionId,
        kind,
        message,
        state: 'queued',
        place,
        created_at,
      } as const
      const input: InputRecord = { ...own, ...options }
      this.#waiting[kind].push(input)
      this.#tell('input_queued', input)
      return input
    })
  }

  find(id: string): InputRecord | undefined {
    return this.list.find((input) => input.id === id)
  }

  /** Changes what waits. Refuses, before anything is changed, a place that is not there and a kind that has no room. */
  update(found: InputRecord, change: InputChange): InputRecord {
    const { before, kind = found.kind } = change
    const others = this.#waiting[kind].filter((input) => input !== found)
    const next = before === undefined || before === '' ? undefined : others.find(({ id }) => id === before)
    if (before !== undefined && before !== '' && next === undefined) throw noSuchPlace()
    if (kind !== found.kind) this.#needRoom(kind, 1, 'body.kind')
    const edited = withChange(found, change)
    const moves = kind !== found.kind || (before !== undefined && next !== this.#nextOf(found))
    if (!moves && isDeepStrictEqual(edited, found)) return found
    this.#remove(found)
    const changed = moves ? { ...edited, place: this.#placeBefore(kind, next) } : edited
    this.#waiting[kind].push(changed)
    this.#waiting[kind].sort(byPlace)
    this.#tell('input_updated', changed)
    return changed
  }

  cancel(input: InputRecord): InputRecord {
    return this.#settle(input, { state: 'cancelled' })
  }

  // What runs do

  /** Takes all that was steered in, for a run. */
  takeSteering(runId: string): readonly InputRecord[] {
    return this.#waiting.steer.filter(isReady).map((input) => this.#deliver(input, runId))
  }

  /** Takes the next follow-up for a run, unless that wants another agent or model: then it waits for a run of its own. */
  takeFollowUp(runId: string, answering: Answering): InputRecord | undefined {
    const input = this.#waiting.followup.find(isReady)
    return input !== undefined && isFor(input, answering) ? this.#deliver(input, runId) : undefined
  }

  /** Takes what a run begins with: all that was steered in, or else the next follow-up. */
  takeFirst(runId: string): readonly InputRecord[] {
    const steering = this.takeSteering(runId)
    const next = steering.length > 0 ? undefined : this.#waiting.followup.find(isReady)
    return next === undefined ? steering : [this.#deliver(next, runId)]
  }

  /** What a run would begin with that the queue started now. */
  get first(): InputRecord | undefined {
    return this.list.find((input) => !isHeldByClient(input))
  }

  // What happens to all that waits

  /** Holds what is ready. */
  hold(kind: InputKind, by: HeldBy): void {
    this.#change(this.#waiting[kind].filter(isReady), (input) => ({ ...input, state: 'held', held_by: by }))
  }

  /** Lets everything go on but what a client holds. */
  release(): void {
    const held = this.list.filter((input) => input.state === 'held' && !isHeldByClient(input))
    this.#change(held, ({ held_by: _, ...input }) => ({ ...input, state: 'queued' }))
  }

  /** Gives up on an input that no run can take. */
  fail(input: InputRecord, error: { readonly code: string; readonly message: string }): void {
    this.#settle(input, { state: 'failed', error })
  }

  /** All that waits, in the order of delivery. */
  get list(): readonly InputRecord[] {
    return kinds.flatMap((kind) => this.#waiting[kind])
  }

  /** What is about to be delivered, in the order in which it was said. */
  get ready(): readonly InputRecord[] {
    return this.list.filter(isReady).sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** Whether something waits that is not held. */
  hasReady(kind: InputKind): boolean {
    return this.#waiting[kind].some(isReady)
  }

  get state(): QueueState {
    return {
      steer: { depth: this.#waiting.steer.length, capacity: queueCapacity.steer },
      followup: { depth: this.#waiting.followup.length, capacity: queueCapacity.followup },
    }
  }

  /** More than the queue can ever hold is refused in the same way: the details tell. */
  #needRoom(kind: InputKind, count: number, path: string): void {
    const [waiting, capacity] = [this.#waiting[kind].length, queueCapacity[kind]]
    if (waiting + count <= capacity) return
    const details = [{ path, message: `there is no room for ${count}: ${waiting} wait, and ${capacity} can` }]
    throw new Refusal(kind === 'steer' ? 'steer_queue_full' : 'followup_queue_full', undefined, {
      retryAfter: 1,
      details,
    })
  }

  /** A place right before another of that kind, or at the end. When there is no number between, all get new ones. */
  #placeBefore(kind: InputKind, next: InputRecord | undefined): number {
    const waiting = this.#waiting[kind]
    const index = next === undefined ? waiting.length : waiting.findIndex(({ id }) => id === next.id)
    const before = waiting[index - 1]?.place
    const after = waiting[index]?.place
    if (after === undefined) return (before ?? 0) + 1
    if (before === undefined) return after - 1
    const between = before + (after - before) / 2
    if (between > before && between < after) return between
    this.#change([...waiting], (input) => ({ ...input, place: waiting.indexOf(input) + 1 }))
    return index + 0.5
  }

  #nextOf(input: InputRecord): InputRecord | undefined {
    const waiting = this.#waiting[input.kind]
    return waiting[waiting.indexOf(input) + 1]
  }

  #change(inputs: readonly InputRecord[], change: (input: InputRecord) => InputRecord): void {
    for (const [input, changed] of inputs.map((input) => [input, change(input)] as const)) {
      const waiting = this.#waiting[input.kind]
      waiting[waiting.indexOf(input)] = changed
      this.#tell('input_updated', changed)
    }
  }

  #deliver(input: InputRecord, runId: string): InputRecord {
    return this.#settle(input, { state: 'delivered', run_id: runId })
  }

  #settle(input: InputRecord, how: Pick<InputRecord, 'state' | 'run_id' | 'error'>): InputRecord {
    this.#remove(input)
    const { held_by: _, ...rest } = input
    const settled: InputRecord = { ...rest, ...how, settled_at: new Date().toISOString() }
    this.#tell('input_settled', settled, how.run_id)
    return settled
  }

  #remove(input: InputRecord): void {
    const waiting = this.#waiting[input.kind]
    waiting.splice(waiting.indexOf(input), 1)
  }
}

/** An input that is changed where it stands. */
function withChange({ held_by, ...input }: InputRecord, { message, kind, held }: InputChange): InputRecord {
  const state = held === undefined ? input.state : held ? 'held' : 'queued'
  const by = held === true ? 'client' : held_by
  const own = { kind: kind ?? input.kind, message: message ?? input.message, state }
  return { ...input, ...own, ...(state === 'queued' || by === undefined ? {} : { held_by: by }) }
}

function byPlace(a: InputRecord, b: InputRecord): number {
  return a.place - b.place
}

function isReady({ state }: InputRecord): boolean {
  return state === 'queued'
}

function isHeldByClient({ held_by }: InputRecord): boolean {
  return held_by === 'client'
}

/** Who does not say which agent of a file means the one that answers now. */
function isFor({ agent, agent_name, model }: InputRecord, now: Answering): boolean {
  if (agent === undefined) return true
  const isAgent = agent === now.agent?.source && (agent_name === undefined || agent_name === now.agent.name)
  return isAgent && (model === undefined || model === now.model)
}

function noSuchPlace(): Refusal {
  const details = [{ path: 'body.before', message: 'is no other input of that kind that waits' }]
  return new Refusal('invalid_request', undefined, { details })
}
