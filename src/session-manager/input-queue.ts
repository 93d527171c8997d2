import {
  type InputKind,
  type InputMessage,
  newId,
  type QueueState,
  queueCapacity,
  Refusal,
} from '../protocol/protocol.ts'
import type { InputRecord } from '../store/store.ts'

/** The messages that wait for a run of one session, oldest first. Bounded: a full queue refuses a list whole. */
export class InputQueue {
  readonly #sessionId: string
  readonly #waiting: Record<InputKind, InputRecord[]> = { steer: [], followup: [] }

  constructor(sessionId: string, stored: readonly InputRecord[]) {
    this.#sessionId = sessionId
    for (const input of stored) this.#waiting[input.kind].push(input)
  }

  /** Adds a whole list, or refuses it: `steer_queue_full`, `followup_queue_full`. */
  add(kind: InputKind, messages: readonly InputMessage[]): readonly InputRecord[] {
    const waiting = this.#waiting[kind]
    if (waiting.length + messages.length > queueCapacity[kind]) {
      throw new Refusal(kind === 'steer' ? 'steer_queue_full' : 'followup_queue_full', undefined, { retryAfter: 1 })
    }
    const created_at = new Date().toISOString()
    const inputs = messages.map(
      (message): InputRecord => ({
        id: newId(),
        session_id: this.#sessionId,
        kind,
        message,
        state: 'queued',
        created_at,
      }),
    )
    waiting.push(...inputs)
    return inputs
  }

  /** Takes all that was steered in. */
  takeSteering(): readonly InputRecord[] {
    return this.#waiting.steer.splice(0)
  }

  /** Takes the oldest follow-up. */
  takeFollowUp(): InputRecord | undefined {
    return this.#waiting.followup.shift()
  }

  /** Ids of all that waits. */
  get waiting(): ReadonlySet<string> {
    return new Set([...this.#waiting.steer, ...this.#waiting.followup].map(({ id }) => id))
  }

  get isEmpty(): boolean {
    return this.waiting.size === 0
  }

  /** Whether something waits besides these. */
  hasBeyond(ids: ReadonlySet<string>): boolean {
    return !this.waiting.isSubsetOf(ids)
  }

  get hasSteering(): boolean {
    return this.#waiting.steer.length > 0
  }

  get state(): QueueState {
    return {
      steer: { depth: this.#waiting.steer.length, capacity: queueCapacity.steer },
      followup: { depth: this.#waiting.followup.length, capacity: queueCapacity.followup },
    }
  }
}
