import type { LogPage, ReadOptions } from '../event-log/event-log.ts'
import {
  type ElicitationBody,
  type ForeignEvent,
  type InputKind,
  type InputMessage,
  type Message,
  Refusal,
  type Request,
  type ResumeBody,
  type Run,
  type RunTrigger,
  type SessionModels,
  type SessionStatus,
  type Snapshot,
  type Summary,
} from '../protocol/protocol.ts'
import type { AgentRef, Runtime } from '../runtime/runtime.ts'
import type { ItemRange, ItemRecord, SessionRecord } from '../store/store.ts'
import type { ActiveRun, StopRequest } from './active-run.ts'
import { type Attachment, Attachments, type EventSource } from './attachments.ts'
import { IdempotencyKeys } from './idempotency.ts'
import { endInterruptedRun } from './interrupted-run.ts'
import { RunControl, type RuntimeLease } from './run-control.ts'
import { chosenPolicy } from './session-record.ts'
import { SessionState, type Surroundings } from './session-state.ts'
import { type Action, type Outcome, outcomes, type Status } from './session-status.ts'
import { toStatus } from './session-view.ts'
import { toMessages } from './transcript.ts'

/** What a client wants to be run. */
export interface RunRequest {
  readonly agent: AgentRef
  readonly messages: readonly InputMessage[]
  readonly model?: string | undefined
  readonly trigger: RunTrigger
}

/**
 * A session while it is loaded. Commands decide and record in one breath and resolve when that is committed.
 *
 * - M1. At most one run goes on.
 * - M2. An accepted input is delivered exactly once or is still in its queue.
 * - M3. A request is settled once, also across restarts.
 * - M4. Every run that started has exactly one end event.
 * - M5. The same idempotency key gets the same answer.
 * - M6. No session is stuck: running implies a live run in this process.
 */
export class LiveSession {
  readonly attachments = new Attachments()
  readonly #state: SessionState
  readonly #runs: RunControl
  readonly #followUpKeys: IdempotencyKeys
  readonly #onGone: (session: LiveSession) => void
  /** Set by the deletion: resolves when the last run has left. */
  #deletion: Promise<void> | undefined
  /** Set when a commit failed: resolves when the last run has left. */
  #lost: Promise<void> | undefined
  /** Commands and reads that are under way. */
  #visits = 0
  #lastUsed = performance.now()

  constructor(record: SessionRecord, around: Surroundings, onGone: (session: LiveSession) => void) {
    this.#onGone = onGone
    this.#state = new SessionState(record, around, () => this.#throwAway())
    this.#runs = new RunControl(this.#state, (agent) => this.#lease(agent))
    this.#followUpKeys = new IdempotencyKeys(`followup ${record.id}`, around.store)
    const [newest] = around.store.runs(record.id, { limit: 1 }).entries
    if (newest?.status === 'running') endInterruptedRun(this.#state, newest)
  }

  get id(): string {
    return this.#state.id
  }

  get record(): SessionRecord {
    return this.#state.record
  }

  get status(): Status {
    if (this.#deletion !== undefined) return 'deleting'
    const { current } = this.#runs
    if (current === undefined) return 'idle'
    return current.isStopping ? 'stopping' : 'running'
  }

  /** It has run, in any process, or a runtime is attached. */
  get hasRuntime(): boolean {
    return this.record.agent !== undefined || this.attachments.runtime !== undefined
  }

  /** Resolves when a runtime is attached, or a run has begun. */
  get hasRuntimeLater(): Promise<void> {
    return Promise.race([this.attachments.attached, this.#runs.begun])
  }

  /** It runs, or something is attached to it. */
  get isActive(): boolean {
    return !this.#runs.isIdle || !this.attachments.isEmpty
  }

  /** Nothing needs it in memory, and nothing has for so many milliseconds. */
  isUnusedFor(milliseconds: number): boolean {
    const { log, requests, recorder } = this.#state
    const inUse = this.isActive || this.#visits > 0 || log.readers > 0 || !requests.isEmpty || !recorder.isSettled
    return !inUse && performance.now() - this.#lastUsed >= milliseconds
  }

  settled(): Promise<void> {
    return this.#state.recorder.settled()
  }

  // Runs

  async startRun(request: RunRequest): Promise<ActiveRun> {
    this.#decide('run')
    const lease = await this.#lease(request.agent)
    try {
      if (request.model !== undefined && request.model !== '') switchOf(lease.runtime).check(request.model)
      this.#decide('run')
      if (this.#state.around.isDraining()) throw new Refusal('shutting_down', undefined, { retryAfter: 1 })
      if (!this.#state.around.slots.tryTake()) throw new Refusal('too_many_runs', undefined, { retryAfter: 1 })
    } catch (refusal) {
      await lease.release()
      throw refusal
    }
    const run = this.#runs.begin({ ...request, lease, source: request.agent.source })
    await this.settled()
    return run
  }

  /** Stops the current run and resolves when that is committed; the run's `ended` tells when it has left. */
  async stop(request: StopRequest, runId: string | undefined): Promise<ActiveRun | Run | undefined> {
    this.#decide('cancel')
    const { current } = this.#runs
    if (runId !== undefined && runId !== current?.id) return this.run(runId)
    const run = this.#runs.stop(request)
    await this.settled()
    return run
  }

  run(runId: string): Run {
    const { current } = this.#runs
    const run = current?.id === runId ? current.state : this.#state.around.store.run(this.id, runId)
    if (run === undefined) throw new Refusal('unknown_run')
    return run
  }

  /** The run that goes on, if any. */
  get currentRun(): ActiveRun | undefined {
    return this.#runs.current
  }

  // Input

  async steer(messages: readonly InputMessage[]): Promise<void> {
    this.#decide('steer')
    this.#enqueue('steer', messages)
    await this.settled()
  }

  /** Tells whether a run takes it, and whether the key was used before. A delivery that fails frees its key. */
  async followUp(
    messages: readonly InputMessage[],
    key: string | undefined,
  ): Promise<{ streaming: boolean; duplicate: boolean }> {
    const outcome = this.#decide('followup')
    this.#needRuntime()
    if (key !== undefined && !this.#followUpKeys.reserve(key)) {
      await this.settled()
      return { streaming: false, duplicate: true }
    }
    try {
      const { injector } = this.attachments
      if (injector === undefined) this.#enqueue('followup', messages)
      else for (const message of messages) await injector(message)
    } catch (failure) {
      if (key !== undefined) this.#followUpKeys.free(key)
      throw failure
    }
    this.#keepKey(key, messages)
    if (outcome === 'start') this.#runs.startQueued()
    await this.settled()
    return { streaming: !this.#state.around.isDraining(), duplicate: false }
  }

  get queue(): SessionState['queue']['state'] {
    this.#needRuntime()
    return this.#state.queue.state
  }

  // Requests

  get requests(): readonly Request[] {
    return this.#state.requests.open
  }

  async resume(answer: ResumeBody): Promise<void> {
    this.#decide('answer')
    const { requests } = this.#state
    const request = requests.approval(answer)
    const { confirmation, reason, tool_name } = answer
    if (request.content.kind === 'approval') {
      this.#grant(confirmation, tool_name ?? request.content.tool_call.function.name)
    }
    requests.settle(request.id, { confirmation, reason, tool_name }, 'client')
    requests.redecide()
    await this.settled()
  }

  async answerElicitation({ action, content, elicitation_id, request_id }: ElicitationBody): Promise<void> {
    this.#decide('answer')
    const request = this.#state.requests.elicitation(request_id ?? elicitation_id)
    this.#state.requests.settle(request.id, { action, content }, 'client')
    await this.settled()
  }

  // Settings

  /** Changes settings, and decides open approvals again. */
  async configure(changes: Partial<SessionRecord>): Promise<void> {
    this.#decide('configure')
    const { title } = changes
    this.#state.update(changes)
    if (title !== undefined) this.#state.recorder.event({ type: 'session_title', title })
    this.#state.requests.redecide()
    await this.settled()
  }

  /** The models of the session's agent; exactly one is current. */
  async models(): Promise<SessionModels> {
    const { runtime, release } = await this.#lease(this.#needRuntime())
    try {
      const { agent_model_overrides, custom_models_used = [] } = this.record
      const models = switchOf(runtime).choices(agent_model_overrides?.[runtime.agent], custom_models_used)
      const current = models.find((choice) => choice.is_current === true)
      return { agent: runtime.agent, current_model_ref: current?.ref, models: [...models] }
    } finally {
      await release()
    }
  }

  /** Chooses a model for the session's agent; `''` goes back to the default. */
  async setModel(ref: string): Promise<void> {
    const { runtime, release } = await this.#lease(this.#needRuntime())
    try {
      const models = switchOf(runtime)
      if (ref !== '') models.check(ref)
      const { [runtime.agent]: _, ...others } = this.record.agent_model_overrides ?? {}
      const { custom_models_used = [] } = this.record
      const custom = ref.includes('/') && !custom_models_used.includes(ref)
      await this.configure({
        agent_model_overrides: ref === '' ? others : { ...others, [runtime.agent]: ref },
        ...(custom ? { custom_models_used: [...custom_models_used, ref] } : {}),
      })
    } finally {
      await release()
    }
  }

  // Transcript

  async addMessage(message: Message): Promise<ItemRecord> {
    this.#decide('edit')
    const item = this.#state.addMessage(message)
    await this.settled()
    return item
  }

  async updateMessage(id: string, message: Message): Promise<void> {
    this.#decide('edit')
    const item = this.#state.transcript.replace(id, message)
    if (item === undefined) throw new Refusal('unknown_message')
    this.#state.recorder.save({ kind: 'item.put', item })
    await this.settled()
  }

  async addSummary(summary: Summary): Promise<void> {
    this.#decide('edit')
    this.#state.add({ kind: 'summary', summary })
    this.#state.recorder.event({ type: 'session_summary', ...summary })
    await this.settled()
  }

  // Reading: state and seq in one breath, told when that seq is committed.

  async read<T>(view: (record: SessionRecord, items: readonly ItemRecord[]) => T, range: ItemRange): Promise<T> {
    this.#decide('read')
    const value = view(this.record, this.#state.items(range))
    await this.settled()
    return value
  }

  async snapshot(range: ItemRange): Promise<Snapshot> {
    this.#decide('read')
    const { record, partial, log } = this.#state
    const messages = [...toMessages(this.#state.items(range))]
    if (partial !== undefined && !('last' in range && range.last === 0)) messages.push(partial)
    const run = this.#runs.current
    const snapshot: Snapshot = {
      id: record.id,
      title: record.title,
      created_at: record.created_at,
      working_dir: record.working_dir,
      messages: messages.length === 0 ? null : messages,
      tools_approved: record.tools_approved,
      safety_policy: record.safety_policy,
      permissions: record.permissions,
      input_tokens: record.input_tokens,
      output_tokens: record.output_tokens,
      streaming: run !== undefined,
      agent: this.#agentName,
      run_id: run?.id,
      last_event_seq: log.head,
      cost: record.cost,
    }
    await this.settled()
    return snapshot
  }

  async statusView(): Promise<SessionStatus> {
    this.#decide('read')
    this.#needRuntime()
    const status = toStatus(this.record, this.#agentName, this.#runs.current?.id)
    await this.settled()
    return status
  }

  get lastEventSeq(): number {
    return this.#state.log.published
  }

  tail(options: ReadOptions): AsyncGenerator<LogPage, void, void> {
    this.#decide('read')
    return this.#state.log.read(options)
  }

  // Attachments

  registerEventSource(source: EventSource): Attachment {
    this.#decide('configure')
    const tell = (event: ForeignEvent): void => {
      this.#state.recorder.foreignEvent(event)
    }
    return this.attachments.registerSource(source, tell, (failure) => {
      if (failure !== undefined) this.#state.around.onDefect(failure)
      this.#state.recorder.event({ type: 'session_exited', reason: 'the event source has ended' })
      if (this.#runs.isIdle) this.#retire()
    })
  }

  // Life

  /** Records a session that is new, with the items that it begins with. */
  create(): void {
    this.#state.update({})
  }

  /** Takes over the items of a fork. */
  adopt(items: readonly ItemRecord[]): void {
    for (const item of items) this.#state.recorder.save({ kind: 'item.put', item })
  }

  /** Deletes the session. Resolves when that is committed; {@link left} when its run has ended too. */
  async delete(): Promise<void> {
    this.#decide('delete')
    this.#state.recorder.delete('session ended')
    this.attachments.end()
    this.#deletion = this.#runs.abandon().then(() => this.#onGone(this))
    await this.settled()
    this.#state.log.close()
  }

  /** Resolves when no run goes on. */
  async left(): Promise<void> {
    await (this.#deletion ?? this.#lost ?? this.#runs.current?.ended)
  }

  /** Lets go of everything without telling it: the next process finds the run as it was. */
  async leave(): Promise<void> {
    this.#state.recorder.leave()
    this.attachments.end()
    await this.#runs.abandon()
    await this.settled().catch(() => {})
    this.#state.log.close()
  }

  /** Keeps the session loaded while somebody works with it. */
  async visit<T>(work: (session: this) => T | Promise<T>): Promise<T> {
    this.#visits += 1
    try {
      return await work(this)
    } finally {
      this.#visits -= 1
      this.#lastUsed = performance.now()
    }
  }

  get #agentName(): string | undefined {
    return this.attachments.runtime?.agent ?? this.record.agent?.name
  }

  /** What an action does in the state the session is in; throws when it is refused. */
  #decide(action: Action): Exclude<Outcome, object> {
    if (this.#lost !== undefined) throw new Refusal('store_unavailable', undefined, { retryAfter: 1 })
    const outcome = outcomes[this.status][action]
    if (typeof outcome === 'object') throw new Refusal(outcome.refuse)
    const changes = action !== 'read' && action !== 'cancel' && action !== 'delete'
    if (changes && this.#state.around.store.pressure !== undefined) {
      throw new Refusal('overloaded', undefined, { retryAfter: 1 })
    }
    return outcome
  }

  #needRuntime(): AgentRef {
    if (!this.hasRuntime) throw new Refusal('session_not_running')
    return this.record.agent ?? { source: '' }
  }

  #enqueue(kind: InputKind, messages: readonly InputMessage[]): void {
    this.#needRuntime()
    for (const input of this.#state.queue.add(kind, messages)) this.#state.recorder.save({ kind: 'input.put', input })
  }

  #keepKey(key: string | undefined, messages: readonly InputMessage[]): void {
    if (key === undefined) return
    const answer = { status: 202, body: { status: 'queued_streaming', duplicate: false } }
    this.#state.recorder.save({ kind: 'key.put', key: this.#followUpKeys.record(key, messages, answer) })
  }

  #grant(confirmation: ResumeBody['confirmation'], tool: string | undefined): void {
    const { permissions } = this.record
    if (confirmation === 'approve-balanced') this.#state.update({ ...chosenPolicy('balanced'), policy_pending: false })
    if (confirmation === 'approve-autonomous') {
      this.#state.update({ ...chosenPolicy('autonomous'), policy_pending: false })
    }
    if (confirmation === 'approve-tool' && tool !== undefined && !permissions?.allow?.includes(tool)) {
      this.#state.update({ permissions: { ...permissions, allow: [...(permissions?.allow ?? []), tool] } })
    }
  }

  async #lease(agent: AgentRef): Promise<RuntimeLease> {
    const attached = this.attachments.runtime
    if (attached !== undefined) return { runtime: attached, release: async () => {} }
    const runtime = await this.#state.around.agents.open(agent)
    return { runtime, release: () => runtime.close() }
  }

  /** Ends the tails once they have shown everything; the next use loads the session again. */
  #retire(): void {
    this.settled().then(
      () => this.#state.log.close(),
      () => {},
    )
    this.#onGone(this)
  }

  /** A commit failed: what is in memory may not be what is stored. The next use loads the session again. */
  #throwAway(): void {
    this.#lost = this.#runs.abandon()
    this.#state.log.close()
    this.attachments.end()
    this.#onGone(this)
  }
}

function switchOf(runtime: Runtime): NonNullable<Runtime['models']> {
  if (runtime.models === undefined) throw new Refusal('model_switch_unsupported')
  return runtime.models
}
