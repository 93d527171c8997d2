import { type ForeignEvent, Refusal, type Run } from '../protocol/protocol.ts'
import type { ItemRecord, SessionRecord } from '../store/store.ts'
import { type Attachment, Attachments, type EventSource } from './inputs/attachments.ts'
import { Gate } from './inputs/gate.ts'
import { Intake } from './inputs/intake.ts'
import { SessionInputs } from './inputs/session-inputs.ts'
import { SessionAnswers } from './requests/session-answers.ts'
import type { ActiveRun } from './runs/active-run.ts'
import type { Fate } from './runs/left-run.ts'
import { RunControl } from './runs/run-control.ts'
import type { RunPlan } from './runs/run-plan.ts'
import { RuntimeKeeper } from './runs/runtime-keeper.ts'
import { SessionRuns } from './runs/session-runs.ts'
import { settleLeftRun } from './runs/settle-left-run.ts'
import { SessionEditor } from './session-editor.ts'
import { SessionSettings } from './session-settings.ts'
import { SessionUse } from './session-use.ts'
import { SessionState } from './state/session-state.ts'
import type { SessionTally } from './state/session-tally.ts'
import type { Surroundings } from './state/surroundings.ts'
import type { Parent } from './tasks/running-task.ts'
import type { SessionTasks } from './tasks/session-tasks.ts'
import { SessionViews } from './views/session-views.ts'
import { settledWithin } from './wait.ts'

/** How long the end of the process waits for a run and its tools: programs get a second to end in order, one after another. */
const leavingMs = 3000

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
  readonly views: SessionViews
  readonly runs: SessionRuns
  readonly intake: Intake
  readonly inputs: SessionInputs
  readonly answers: SessionAnswers
  readonly settings: SessionSettings
  readonly editor: SessionEditor
  readonly #state: SessionState
  readonly #gate: Gate
  readonly #control: RunControl
  readonly #keeper: RuntimeKeeper
  readonly #use = new SessionUse()
  readonly #onGone: () => void
  /** Resolves when what the last run worked with is closed. */
  #emptied: Promise<void> = Promise.resolve()
  #found: Fate | undefined

  constructor(record: SessionRecord, around: Surroundings, onGone: (session: LiveSession) => void, isNew = false) {
    this.#state = new SessionState(record, around, () => this.#throwAway(), isNew)
    this.#keeper = new RuntimeKeeper((failure) => this.#state.around.onDefect(failure))
    this.#gate = new Gate(this.#state, this.attachments, () => this.#control, this.#keeper)
    this.#control = new RunControl(this.#state, async (agent) => {
      this.#state.load()
      return agent === undefined ? this.#gate.leaseCurrent() : this.#gate.leaseFor(agent)
    })
    this.views = new SessionViews(this.#state, this.#gate, this.#control, this.attachments)
    this.runs = new SessionRuns(this.#state, this.#gate, this.#control)
    this.intake = new Intake(this.#state, this.#gate, this.#control, this.runs)
    this.inputs = new SessionInputs(this.#state, this.#gate, this.#control, this.attachments)
    this.answers = new SessionAnswers(this.#state, this.#gate)
    this.settings = new SessionSettings(this.#state, this.#gate)
    this.editor = new SessionEditor(this.#state, this.#gate)
    this.#onGone = () => onGone(this)
    const [newest] = isNew ? [] : around.store.runs(record.id, { limit: 1 }).entries
    if (newest?.status === 'running') this.#takeUpOrDrop(newest)
    else around.departures.forget(record.id)
  }

  /** The tasks that agents of this session have handed over. */
  get tasks(): SessionTasks {
    return this.#control.tasks
  }

  /** Its figures. */
  get tally(): SessionTally {
    return this.#state.tally
  }

  get id(): string {
    return this.#state.id
  }

  get record(): SessionRecord {
    return this.#state.record
  }

  /** A commit failed: as soon as {@link left} resolves, the session can be loaded again. */
  get isLost(): boolean {
    return this.#gate.isLost
  }

  /** It is gone for everybody, though its run may need a moment to leave. */
  get isDeleted(): boolean {
    return this.#gate.status === 'deleting'
  }

  /** What became of a run that was found as running when the session was loaded. */
  get found(): Fate | undefined {
    return this.#found
  }

  get hasRuntime(): boolean {
    return this.#gate.hasRuntime
  }

  /** Resolves when a runtime is attached, or a run has begun. */
  get hasRuntimeLater(): Promise<void> {
    return Promise.race([this.attachments.attached, this.#control.begun])
  }

  /** It runs, or something is attached to it. */
  get isActive(): boolean {
    return !this.#control.isIdle || !this.attachments.isEmpty
  }

  /** Nothing would be lost if the process ended now. */
  get isAtRest(): boolean {
    return this.#control.isAtRest
  }

  /** Nothing needs it in memory, and nothing has for so many milliseconds. */
  isUnusedFor(milliseconds: number): boolean {
    const isRead = this.#state.log.readers > 0
    return !this.#isNeeded && !isRead && this.#keeper.isEmpty && this.#use.idleFor >= milliseconds
  }

  /** Stops the toolsets of a session that has not run for so many milliseconds; its next run starts them again. */
  async cool(milliseconds: number): Promise<void> {
    await this.#keeper.cool(milliseconds)
  }

  /** Closes a command that this session's owner decides, in the breath in which it records its effect. */
  decided<T>(outcome: T): Promise<T> {
    return this.#state.recorder.decided(outcome)
  }

  /** Resolves when everything that was decided here, and by the sessions that work for this one, is committed. */
  async settled(): Promise<void> {
    await Promise.all([this.#state.recorder.settled(), this.tasks.settled()])
  }

  /** Pumps the events of somebody else into the log, also with no reader. */
  registerEventSource(source: EventSource): Attachment {
    this.#gate.decide('configure')
    const tell = (event: ForeignEvent): Promise<void> | undefined => {
      this.#state.recorder.foreignEvent(event)
      return this.#state.recorder.pressure
    }
    return this.attachments.registerSource(source, tell, (failure) => {
      if (failure !== undefined) this.#state.around.onDefect(failure)
      this.#state.recorder.event({ type: 'session_exited', reason: 'the event source has ended' })
      this.#retire()
    })
  }

  /** Its items as they are now. */
  get items(): readonly ItemRecord[] {
    return this.#state.items({ from: 0 })
  }

  // Life

  /** Records a session that is new, with the items that it begins with. */
  create(items: readonly ItemRecord[]): void {
    this.#state.update({})
    for (const item of items) this.#state.recorder.save({ kind: 'item.put', item })
  }

  /** Begins a task for the session above, with a slot beyond the limit. */
  beginTask(
    text: string,
    { parent, ...plan }: Pick<RunPlan, 'lease' | 'headers' | 'trigger' | 'onEnd'> & { readonly parent: Parent },
  ): ActiveRun {
    const { rootRunId } = parent
    this.#state.family.workFor(parent.state, rootRunId, parent.toldAs)
    this.#state.around.slots.takeBeyond()
    const begin = { ...plan, rootRunId, messages: [], after: () => parent.state.recorder.settled() }
    return this.#control.begin(begin, (runId) => this.#state.addTask(text, runId))
  }

  /** From now on the session works for nobody. */
  workAlone(): void {
    this.#state.family.workAlone()
  }

  /** Deletes the session. Resolves when that is committed; {@link left} when its run and its tools have left too. */
  async delete(): Promise<void> {
    this.#gate.decide('delete')
    this.#state.tally.countAbove({ messages: -this.record.num_messages })
    this.#state.recorder.delete('session ended')
    this.attachments.end()
    const committed = this.#state.recorder.settled()
    const left = this.#abandon().then(() => this.#emptied)
    const gone = Promise.allSettled([committed, left]).then(() => this.#onGone())
    this.#gate.closeForDeletion(gone)
    await committed
    this.#state.log.close()
  }

  /** Resolves when no run goes on. */
  left(): Promise<void> {
    return this.#gate.left()
  }

  /** Resolves when no run goes on, and that is committed; rejects when it cannot be. */
  async stopped(): Promise<void> {
    await this.left()
    await this.#state.recorder.settled()
  }

  /** Leaves the run to the next process. What was recorded before is still committed. */
  stopRecording(): void {
    this.#control.handOver()
    this.#state.recorder.leave()
  }

  /** Lets go of everything without telling it: the next process finds the run as it was. */
  async leave(): Promise<void> {
    this.stopRecording()
    this.attachments.end()
    const left = this.#abandon()
    this.#gate.close('shutting_down', left)
    await settledWithin(this.#emptied, leavingMs)
    await this.settled().catch(() => {})
    this.#state.log.close()
  }

  /** A session that cannot be loaded has decided nothing. */
  #takeUpOrDrop(left: Run): void {
    try {
      this.#found = settleLeftRun(left, { session: this, state: this.#state, gate: this.#gate, control: this.#control })
    } catch (failure) {
      this.#state.recorder.drop()
      this.#state.family.workAlone()
      void this.#abandon()
      throw failure
    }
  }

  /** Keeps the session loaded while somebody works with it. Refuses when it is gone, or about to go. */
  visit<T>(work: (session: this) => T | Promise<T>): Promise<T> {
    return this.#use.visit(async () => {
      try {
        this.#gate.decide('read')
        return await work(this)
      } catch (failure) {
        // A refusal tells what it was decided on: no crash may take that back. Only who is turned away need not wait.
        if (!(failure instanceof Refusal && failure.code === 'overloaded')) await this.settled()
        throw failure
      }
    })
  }

  /** Lets the run go, and then what it worked with. */
  #abandon(): Promise<void> {
    const left = this.#control.abandon()
    this.#state.requests.close()
    this.#emptied = left.then(() => this.#keeper.close())
    return left
  }

  /** Somebody works with it, or something would be lost if it were loaded again now. */
  get #isNeeded(): boolean {
    const { requests, recorder } = this.#state
    return this.isActive || !this.tasks.isIdle || this.#use.isVisited || !requests.isEmpty || !recorder.isSettled
  }

  /** Ends the tails once they have shown everything, unless the session goes on; the next use loads it again. */
  #retire(): void {
    this.settled().then(
      () => {
        if (this.#isNeeded) return
        this.#state.log.close()
        this.#onGone()
        this.#emptied = this.#keeper.close()
      },
      () => {},
    )
  }

  /**
   * A commit failed: what is in memory may not be what is stored. Loaded again by the first use after its run has left. So are
   * all that work for one another with it, in the same breath: none finds the other as it was, and what they do goes on as after
   * a restart.
   */
  #throwAway(): void {
    if (this.isLost) return
    const sessions = this.#family
    const { store, departures } = this.#state.around
    // Where others can commit it is not the store's fault; it is never that of those who go with it.
    for (const session of sessions) {
      const isOwn = session === this && store.health().connected
      departures.failed(session.id, isOwn ? 'crash' : 'store_failure')
    }
    // First of all, so that no log tells what they do because this one goes.
    for (const session of sessions) session.#state.recorder.leave()
    const left = Promise.all([...sessions].map((session) => session.#abandonAndSettle()))
    const gone = left.then(() => {
      for (const session of sessions) session.#onGone()
    })
    for (const session of sessions) {
      session.#gate.close('store_unavailable', gone)
      session.#state.log.close()
      session.attachments.end()
    }
  }

  /** Whoever loads it afterwards finds all there is. */
  async #abandonAndSettle(): Promise<void> {
    await this.#abandon()
    await this.#state.recorder.settled().catch(() => {})
  }

  /** All that work for one another now. One that is deleted is none of them any more. */
  get #family(): ReadonlySet<LiveSession> {
    const { family, around } = this.#state
    const top = (this.isDeleted ? undefined : around.peek(family.top.id)) ?? this
    return new Set([...top.#withTasks, ...this.#withTasks])
  }

  /** The session and all that work for it now. */
  get #withTasks(): readonly LiveSession[] {
    const below = this.tasks.running.flatMap(({ session }) => (session.isDeleted ? [] : session.#withTasks))
    return [this, ...below]
  }
}
