import type { LogPage, ReadOptions } from '../../event-log/event-log.ts'
import { type Explanation, Refusal, type Run, type SessionStatus, type Snapshot } from '../../protocol/protocol.ts'
import type { ItemRange, SessionRecord } from '../../store/store.ts'
import type { MessagePage, StartedRun } from '../answers.ts'
import type { Attachments } from '../inputs/attachments.ts'
import type { Gate } from '../inputs/gate.ts'
import type { LiveSession } from '../live-session.ts'
import type { ActiveRun } from '../runs/active-run.ts'
import type { RunControl } from '../runs/run-control.ts'
import type { SessionState } from '../state/session-state.ts'
import { grow, partialsBelow, type SessionTree, type TreeItem, toMessages } from '../state/session-tree.ts'
import { lastText } from '../state/transcript.ts'
import { unlessDamaged } from '../unless-damaged.ts'
import { explain } from './explanation.ts'
import { factsOf } from './session-facts.ts'
import { toSnapshot, toStatus } from './session-view.ts'

/** Shows a session with all below it: state and seq in one breath, told when that is committed. */
export class SessionViews {
  readonly #state: SessionState
  readonly #gate: Gate
  readonly #control: RunControl
  readonly #attachments: Attachments

  constructor(state: SessionState, gate: Gate, control: RunControl, attachments: Attachments) {
    this.#state = state
    this.#gate = gate
    this.#control = control
    this.#attachments = attachments
  }

  async read<T>(view: (record: SessionRecord, items: readonly TreeItem[]) => T, range: ItemRange): Promise<T> {
    this.#gate.decide('read')
    const below = new Set<LiveSession>()
    const { record, items } = this.tree(range, below)
    const value = view(record, items)
    await this.#settled(below)
    return value
  }

  /** A page of messages, oldest first; places are those of the items. */
  messages({ from, limit }: { readonly from: number; readonly limit: number }): Promise<MessagePage> {
    const view = (record: SessionRecord, items: readonly TreeItem[]): MessagePage => {
      const next = from + items.length
      return { messages: toMessages(items), next: next < record.num_items ? next : undefined }
    }
    return this.read(view, { from, limit })
  }

  async snapshot(range: ItemRange): Promise<Snapshot> {
    this.#gate.decide('read')
    const below = new Set<LiveSession>()
    const { record, items, partial } = this.tree(range, below)
    const messages = [...toMessages(items), ...partialsBelow(items)]
    if (partial !== undefined && !('last' in range && range.last === 0)) messages.push(partial)
    const snapshot = toSnapshot(record, messages, {
      agent: this.#agent,
      run_id: this.#control.current?.id,
      inputs: [...this.#state.queue.list],
      last_event_seq: this.#state.log.head,
    })
    await this.#settled(below)
    return snapshot
  }

  async status(): Promise<SessionStatus> {
    this.#gate.decide('read')
    this.#gate.needAgent()
    const status = toStatus(this.#state.record, this.#agent, this.#control.current?.id)
    await this.#settled()
    return status
  }

  async explain(): Promise<Explanation> {
    this.#gate.decide('read')
    const explanation = explain(factsOf(this.#state, this.#control, this.#agent))
    await this.#settled()
    return explanation
  }

  /** The session with some of its items and everything below them, as it is now; adds who below it is loaded. */
  tree(range: ItemRange, loaded: Set<LiveSession>): SessionTree {
    const { store, peek } = this.#state.around
    const find = (id: string): SessionTree | undefined => {
      const live = peek(id)
      if (live?.isDeleted === true) return undefined
      if (live !== undefined) return live.views.tree({ from: 0 }, loaded.add(live))
      return unlessDamaged(() => {
        const record = store.session(id)
        return record && { record, items: grow(store.items(id, { from: 0 }), find), partial: undefined }
      })
    }
    const { record, partial } = this.#state
    return { record, items: grow(this.#state.items(range), find), partial }
  }

  /** The text of the last answer. */
  get lastText(): string {
    const { partial } = this.#state
    return partial?.message.content ?? lastText(this.#state.items({ last: 50 }))
  }

  /** Where the committed log ends. */
  get lastEventSeq(): number {
    return this.#state.log.published
  }

  /** The stream of a run: its events from the first to the last. Throws `Refusal('unknown_run')`. */
  async run(runId: string, signal: AbortSignal): Promise<AsyncGenerator<LogPage, void, void>> {
    const { current } = this.#control
    const live = current?.id === runId ? current : undefined
    if (live === undefined) await this.#settled()
    const run = live?.state ?? this.#state.around.store.run(this.#state.id, runId)
    if (run === undefined) throw new Refusal('unknown_run')
    return this.#tailOf(() => live?.state ?? run, signal)
  }

  /** A run that has begun here, with its stream. */
  started(run: ActiveRun): StartedRun {
    return { run: run.state, events: (signal) => this.#tailOf(() => run.state, signal) }
  }

  #tailOf(run: () => Run, signal: AbortSignal): AsyncGenerator<LogPage, void, void> {
    return this.tail({ since: run().first_seq - 1, follow: true, signal, until: () => run().last_seq })
  }

  tail(options: ReadOptions): AsyncGenerator<LogPage, void, void> {
    this.#gate.decide('read')
    return this.#state.log.read(options)
  }

  get #agent(): string | undefined {
    return this.#attachments.runtime?.agent ?? this.#state.record.agent?.name
  }

  async #settled(below: Iterable<LiveSession> = []): Promise<void> {
    const own = [this.#state.recorder.settled(), this.#control.tasks.settled()]
    await Promise.all([...own, ...[...below].map((session) => session.settled())])
  }
}
