import { isDeepStrictEqual } from 'node:util'
import type { Spending } from '../../protocol/protocol.ts'
import type { CountedBelow, ItemBody, SessionRecord } from '../../store/store.ts'
import { unlessDamaged } from '../unless-damaged.ts'
import type { SessionState } from './session-state.ts'
import { differenceOf, noSpending, sumOf } from './spending.ts'

/** What is added to the figures of a session. */
export interface Count {
  readonly messages?: number | undefined
  /** USD. */
  readonly cost?: number | undefined
  readonly spent?: Spending | undefined
}

/** The figures of a session: what happens below it counts too. */
export class SessionTally {
  readonly #state: SessionState
  /** The tasks that were rolled back, once somebody asks. */
  #rolledBack: ReadonlySet<string> | undefined

  constructor(state: SessionState) {
    this.#state = state
  }

  get spent(): Spending {
    return this.#state.record.spent ?? noSpending
  }

  /** Counts what was added here or below; whoever is above counts it too, as long as the session is there. */
  count(more: Count): void {
    if (!this.#state.recorder.isOpen) return
    const { num_messages, cost } = this.#state.record
    const { messages = 0, spent } = more
    this.#state.update({
      num_messages: num_messages + messages,
      cost: cost + (more.cost ?? 0),
      ...(spent && { spent: sumOf(this.spent, spent) }),
    })
    this.countAbove(more)
  }

  /** Counts where the session carries out a task, or has done so. */
  countAbove(more: Count): void {
    this.#state.above?.tally.countBelow(this.#state.id, more)
  }

  /** Counts what was added below. The messages of a task whose run was rolled back are no part of the session. */
  countBelow(childId: string, more: Count): void {
    this.#rolledBack ??= new Set(
      // Figures of a session that cannot be read are no reason to refuse what happens below it.
      (unlessDamaged(() => this.#state.items({ from: 0 })) ?? []).flatMap(({ body }) =>
        body.kind === 'sub_session' && body.rolled_back !== undefined ? [body.session_id] : [],
      ),
    )
    this.count(this.#rolledBack.has(childId) ? { ...more, messages: 0 } : more)
    if (more.cost === undefined && more.spent === undefined) return
    this.#note(childId, ({ cost, spent }) => ({
      cost: cost + (more.cost ?? 0),
      spent: more.spent === undefined ? spent : sumOf(spent, more.spent),
    }))
  }

  /** Records what is counted of a task. */
  #note(childId: string, change: (counted: CountedBelow) => CountedBelow): void {
    const { recorder } = this.#state
    const transcript = recorder.isOpen ? unlessDamaged(() => this.#state.transcript) : undefined
    const item = transcript?.recountBelow(childId, change)
    if (item !== undefined) recorder.save({ kind: 'item.put', item })
  }

  /** Items were rolled back. */
  forgetRolledBack(): void {
    this.#rolledBack = undefined
  }

  /**
   * Counts again what the tasks of the session have said and spent, here and above. Sessions commit one by one: a crash may
   * have kept something below and lost that it was counted here, or the other way round.
   */
  recount(): void {
    this.#state.above?.tally.recount()
    for (const { body } of this.#state.transcript.items) if (body.kind === 'sub_session') this.#recountBelow(body)
    const found = this.#state.transcript.items.reduce((sum, { body }) => sum + this.messagesIn(body), 0)
    this.count({ messages: found - this.#state.record.num_messages })
  }

  /** What a session that is gone has cost stays counted. */
  #recountBelow({ session_id, counted }: Extract<ItemBody, { kind: 'sub_session' }>): void {
    const record = this.#recordOf(session_id)
    if (record === undefined || counted === undefined) return
    const { cost, spent = noSpending } = record
    if (isDeepStrictEqual(counted, { cost, spent })) return
    this.count({ cost: cost - counted.cost, spent: differenceOf(spent, counted.spent) })
    this.#note(session_id, () => ({ cost, spent }))
  }

  #recordOf(id: string): SessionRecord | undefined {
    const { peek, store } = this.#state.around
    return peek(id)?.record ?? unlessDamaged(() => store.session(id))
  }

  /** How many messages of the conversation an item stands for. */
  messagesIn(body: ItemBody): number {
    if (body.rolled_back !== undefined) return 0
    if (body.kind === 'message') return body.message.message.role === 'system' ? 0 : 1
    if (body.kind !== 'sub_session') return 0
    return this.#recordOf(body.session_id)?.num_messages ?? 0
  }
}
