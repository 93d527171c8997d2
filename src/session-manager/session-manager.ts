import { createStoredLog, type LogPage, type ReadOptions, type StoredLog } from '../event-log/event-log.ts'
import {
  type AgentFileView,
  type AgentSummary,
  type AnswerBody,
  type Budget,
  type ElicitationBody,
  type Explanation,
  type InputChange,
  type InputMessage,
  type Message,
  type Permissions,
  type QueuedInput,
  type QueueState,
  type Recovery,
  Refusal,
  type Request,
  type ResumeBody,
  type Run,
  type SafetyPolicy,
  type Session,
  type SessionDetails,
  type SessionExport,
  type SessionModels,
  type SessionRecovery,
  type SessionStatus,
  type SessionSummary,
  type SessionTemplate,
  type Snapshot,
  type Summary,
} from '../protocol/protocol.ts'
import type { AgentRef, Agents, Runtime } from '../runtime/runtime.ts'
import type { FleetFilter, FleetSessions, Page, RequestFilter, SessionFilter, Store } from '../store/store.ts'
import type { StopRequest } from './active-run.ts'
import {
  type BatchDeletion,
  type BatchExport,
  type BudgetState,
  type CompactionStart,
  type FollowUp,
  type MessagePage,
  type MessageRange,
  type RunOptions,
  type StartedRun,
  type Stop,
  type SubmitOptions,
  type TokenCounters,
  toItemRange,
} from './answers.ts'
import type { Attachment, EventSource, FollowUpInjector } from './attachments.ts'
import { fingerprintOf } from './fingerprint.ts'
import { type FleetReadOptions, shownInFleet } from './fleet-filter.ts'
import { forkOf, treeOf } from './fork.ts'
import { type Decided, Idempotency, type KeyedCommand } from './idempotency.ts'
import type { InputOptions } from './input-queue.ts'
import type { Submission } from './intake.ts'
import { Lifecycle, type ManagerPhase, type Readiness } from './lifecycle.ts'
import type { LiveSession } from './live-session.ts'
import { newInput } from './new-input.ts'
import type { RetentionOptions } from './retention.ts'
import { RunSlots } from './run-slots.ts'
import { matches } from './session-filter.ts'
import { SessionMap } from './session-map.ts'
import { chosenPolicy, newRecord, toggledPolicy } from './session-record.ts'
import { toDetails, toExport, toRecovery, toSession, toSummary } from './session-view.ts'
import { toMessages } from './transcript.ts'
import { settledWithin } from './wait.ts'
import { checkedWorkingDir } from './working-dir.ts'

export type { StopRequest } from './active-run.ts'
export type * from './answers.ts'
export type { Attachment, EventSource, FollowUpInjector } from './attachments.ts'
export { fingerprintOf } from './fingerprint.ts'
export type { FleetReadOptions } from './fleet-filter.ts'
export type { Decided, KeyedCommand } from './idempotency.ts'
export type { InputOptions } from './input-queue.ts'
export type { Submission } from './intake.ts'
export type { ManagerPhase, Readiness } from './lifecycle.ts'

export interface SessionManagerOptions extends RetentionOptions {
  /** Not open yet: `start` opens it, `close` closes it. */
  readonly store: Store
  readonly agents: Agents
  /** Runs that may go on at once, over all sessions. */
  readonly maxConcurrentRuns?: number | undefined
  /** Newest events of a loaded session that stay in memory, besides 1 MiB at most. */
  readonly ringCapacity?: number | undefined
  /** What becomes of runs that the process before has left, where their session does not say; `resume` when nothing is said. */
  readonly recovery?: Recovery | undefined
  /** How often a run is begun at most, after crashes; 3 when nothing is said. */
  readonly recoveryAttempts?: number | undefined
  /** Milliseconds before its second attempt, twice as long before each further one; 500 when nothing is said. */
  readonly recoveryDelayMs?: number | undefined
  /** Sessions may only work below this directory. */
  readonly workingDirRoot?: string | undefined
  /** Where sessions work that name no directory; without it where the process works. */
  readonly workingDir?: string | undefined
  /** Milliseconds that questions stay open in sessions that choose nothing themselves; without it for ever. */
  readonly requestDeadlineMs?: number | undefined
  /**
   * How long a run may tell nothing, in milliseconds, while nothing is known to go on in it, before it counts as stuck; 5
   * minutes unless told, `Infinity` for ever.
   */
  readonly runSilenceMs?: number | undefined
  /** How long a run that was stopped may take to leave, in milliseconds, before it is left behind; 30 seconds unless told. */
  readonly detachAfterMs?: number | undefined
  /** Done when the store is ours, before anything that a former process left is taken up. */
  readonly beforeRecovery?: (() => Promise<void>) | undefined
  /** Is told of every defect, once. */
  readonly onDefect?: ((error: unknown) => void) | undefined
}

/** How long a command waits for a session whose commit has failed to be loaded again. */
const lostMs = 1000

/**
 * Owns sessions: finds, loads and closes them. Every method opens the session it is about and delegates; an unknown
 * session is `Refusal('unknown_session')`. What a method has answered is committed.
 */
export class SessionManager {
  readonly #options: SessionManagerOptions
  readonly #store: Store
  readonly #agents: Agents
  readonly #sessions: SessionMap
  readonly #fleet: StoredLog
  readonly #keys: Idempotency
  readonly #first = Promise.withResolvers<void>()
  readonly #life: Lifecycle

  constructor(options: SessionManagerOptions) {
    this.#options = options
    this.#store = options.store
    this.#agents = options.agents
    this.#keys = new Idempotency(options.store, options.idempotencyRetentionMs)
    const { store } = options
    this.#fleet = createStoredLog({ bounds: () => store.fleetBounds(), read: (after) => store.fleetEvents(after) })
    this.#sessions = new SessionMap({
      store: options.store,
      agents: options.agents,
      slots: new RunSlots(options.maxConcurrentRuns ?? Number.POSITIVE_INFINITY),
      workingDir: options.workingDir,
      ring: { events: options.ringCapacity ?? 1024, bytes: 1024 * 1024 },
      fleet: this.#fleet,
      requestDeadlineMs: options.requestDeadlineMs,
      limits: {
        runSilenceMs: options.runSilenceMs ?? 5 * 60_000,
        detachAfterMs: options.detachAfterMs ?? 30_000,
      },
      recovery: {
        recovery: options.recovery ?? 'resume',
        attempts: options.recoveryAttempts ?? 3,
        delayMs: options.recoveryDelayMs ?? 500,
      },
      isDraining: () => this.#life.phase !== 'ready',
      isLeaving: () => this.#life.phase === 'draining' || this.#life.phase === 'closed',
      onDefect: (error) => options.onDefect?.(error),
    })
    this.#life = new Lifecycle(this.#sessions, options)
  }

  // Life

  /** Opens the store and ends what a former process left running. Throws what `Store.open` throws. */
  start(): Promise<void> {
    return this.#life.start()
  }

  /** Takes no new runs, and waits until those that go on have ended, at most so many milliseconds. */
  drain(graceMs: number): Promise<void> {
    return this.#life.drain(graceMs)
  }

  /** Leaves every session as it is, ends the tails, commits, closes the store. Twice is harmless. */
  close(): Promise<void> {
    return this.#life.close()
  }

  /** Removes what has been kept long enough; it happens by itself too, every hour. */
  retain(): Promise<void> {
    this.#life.needStarted()
    return this.#life.retain()
  }

  get phase(): ManagerPhase {
    return this.#life.phase
  }

  get readiness(): Readiness {
    return this.#life.readiness
  }

  // Commands that may be repeated

  /**
   * Has the effect of one command of this manager once, however often that comes with the same key: see {@link Idempotency}.
   * What it decided is known after a restart too, and when its session has gone.
   */
  async once<T>(command: KeyedCommand, effect: () => Promise<T>): Promise<Decided<T>> {
    this.#life.needStarted()
    return this.#keys.once(command, effect)
  }

  // Agents

  listAgents(): Promise<readonly AgentSummary[]> {
    return this.#agents.list()
  }

  getAgent(source: string): Promise<AgentFileView> {
    return this.#agents.view(source)
  }

  /** Tools of an agent; without a name, of the source's default agent. */
  getAgentToolCount(source: string, name?: string): Promise<number> {
    return this.#agents.toolCount({ source, name })
  }

  // Sessions

  async createSession(template: SessionTemplate = {}): Promise<Session> {
    const wanted = template.working_dir
    const workingDir =
      wanted === undefined || wanted === '' ? undefined : checkedWorkingDir(wanted, this.#options.workingDirRoot)
    this.#life.needReady()
    const session = this.#sessions.add(newRecord(template, workingDir))
    const created = await session.decided(toSession(session.record, []))
    this.#first.resolve()
    return created
  }

  getSession(id: string, messages: MessageRange = 'all'): Promise<SessionDetails> {
    const view = messages === 'none' ? undefined : toMessages
    return this.#visit(id, (session) =>
      session.views.read((record, items) => toDetails(record, view?.(items)), toItemRange(messages)),
    )
  }

  getSessions(filter: SessionFilter): Page<SessionSummary> {
    this.#life.needStarted()
    const { entries, next } = this.#store.sessions(filter)
    const isStreaming = (id: string): boolean => this.#sessions.peek(id)?.runs.current !== undefined
    return { entries: entries.map((record) => toSummary(record, isStreaming(record.id))), next }
  }

  /** Sessions that run here or have something attached, newest first; a cursor means nothing. */
  async getActiveSessions(filter: SessionFilter = { limit: 1000 }): Promise<readonly SessionSummary[]> {
    const active = this.#sessions.loaded
      .filter((session) => session.isActive && matches(session.record, filter))
      .sort((a, b) => (a.id < b.id ? 1 : -1))
      .slice(0, filter.limit)
    const summaries = active.map((session) => toSummary(session.record, session.runs.current !== undefined))
    const told = await Promise.allSettled(active.map((session) => session.settled()))
    return summaries.filter((_, index) => told[index]?.status === 'fulfilled')
  }

  /** A page of messages, oldest first. The cursor is a position among the session's items. */
  getMessages(id: string, page: { readonly limit: number; readonly from: number }): Promise<MessagePage> {
    return this.#visit(id, (session) =>
      session.views.read(
        (record, items) => {
          const next = page.from + items.length
          return { messages: toMessages(items), next: next < record.num_items ? next : undefined }
        },
        { from: page.from, limit: page.limit },
      ),
    )
  }

  getSessionSnapshot(id: string, messages: MessageRange = 'all'): Promise<Snapshot> {
    return this.#visit(id, (session) => session.views.snapshot(toItemRange(messages)))
  }

  getSessionStatus(id: string): Promise<SessionStatus> {
    return this.#visit(id, (session) => session.views.status())
  }

  /** What a session does, since when, and what would end it. */
  explainSession(id: string): Promise<Explanation> {
    return this.#visit(id, (session) => session.views.explain())
  }

  /** The sessions that carry out tasks for a session, oldest first, those of the past too. */
  getChildren(id: string): Promise<readonly SessionSummary[]> {
    return this.#visit(id, async (session) => {
      await session.settled()
      const children = this.#store.children(id)
      const loaded = children.flatMap((child) => this.#sessions.peek(child.id) ?? [])
      const summaries = children.map((child) => {
        const live = this.#sessions.peek(child.id)
        return toSummary(live?.record ?? child, live?.runs.current !== undefined)
      })
      await Promise.all(loaded.map((child) => child.settled()))
      return summaries
    })
  }

  /**
   * Deletes a session with all below it, and stops their runs. With a wait, tells whether the runs have left by then.
   */
  deleteSession(id: string, waitMs?: number): Promise<{ readonly left: boolean }> {
    return this.#visit(id, async (session) => {
      // In one breath: none of them may begin anything in between.
      const sessions = [...this.#sessions.below(id), session]
      await Promise.all([session.decided({ left: true }), ...sessions.map((one) => one.delete())])
      return { left: waitMs === undefined || (await this.waitLeft(id, waitMs)) }
    })
  }

  /** Waits until a session that was deleted has left, with all below it. */
  waitLeft(id: string, milliseconds: number): Promise<boolean> {
    return settledWithin(Promise.all(this.#sessions.tree(id).map((one) => one.left())), milliseconds)
  }

  async batchDeleteSessions(ids: readonly string[]): Promise<BatchDeletion> {
    const deleted = ids.map((id, place) => this.#keys.part(`${place} ${id}`, () => this.deleteSession(id)))
    const outcomes = await Promise.allSettled(deleted)
    const failed = ids.filter((_, index) => outcomes[index]?.status === 'rejected')
    return { deleted_count: ids.length - failed.length, failed_count: failed.length, failed_ids: failed }
  }

  /** Exports the sessions that exist; `missing` names the others. */
  async batchExportSessions(ids: readonly string[]): Promise<BatchExport> {
    const sessions: SessionExport[] = []
    const missing: string[] = []
    for (const id of ids) {
      try {
        sessions.push(await this.#visit(id, (session) => session.views.read(toExport, { from: 0 })))
      } catch (refusal) {
        if (!(refusal instanceof Refusal && refusal.code === 'unknown_session')) throw refusal
        missing.push(id)
      }
    }
    return { sessions, missing }
  }

  exportSessionForRecovery(id: string): Promise<SessionRecovery> {
    return this.#visit(id, (session) => session.views.read(toRecovery, { from: 0 }))
  }

  /** A new session that begins as this one was before its N-th user message, counted from 0. */
  forkSession(id: string, userMessageIndex: number): Promise<SessionDetails> {
    return this.#visit(id, async (parent) => {
      const [record, items] = await parent.views.read((...whole) => whole, { from: 0 })
      this.#life.needReady()
      // Forks that are made at once are not stored yet, and must not get the same number.
      const titlesLike = (prefix: string): readonly string[] => [
        ...this.#store.titles(prefix),
        ...this.#sessions.loaded.map((session) => session.record.title),
      ]
      const fork = forkOf(record, items, userMessageIndex, titlesLike)
      const session = this.#sessions.add(fork.record, fork.items)
      const below = fork.below.map((copy) => this.#sessions.add(copy.record, copy.items))
      const details = session.decided(toDetails(fork.record, toMessages(treeOf(fork).items)))
      await Promise.all([details, ...below.map((one) => one.settled())])
      this.#first.resolve()
      return details
    })
  }

  // Runs

  /** Begins a run. Refuses, before anything is changed, what cannot be run. */
  runSession(id: string, agent: AgentRef, options: RunOptions): Promise<StartedRun> {
    return this.#visit(id, async (session) => {
      const { messages, ...rest } = options
      const run = await session.runs.start({ trigger: 'detached', ...rest, agent, messages: newInput(messages) })
      this.#first.resolve()
      const { first_seq } = run.state
      return {
        run: run.state,
        events: (signal) =>
          session.views.tail({ since: first_seq - 1, follow: true, signal, until: () => run.state.last_seq }),
      }
    })
  }

  /** Runs or says something, whatever the session does; without an agent, to whichever answers. */
  submit(id: string, agent: AgentRef | undefined, options: SubmitOptions): Promise<Submission> {
    return this.#visit(id, async (session) => {
      const { messages, trigger = 'detached', ...more } = options
      const submission = await session.intake.submit({ ...more, agent, trigger, messages: newInput(messages) })
      this.#first.resolve()
      return submission
    })
  }

  /** The stream of the run that takes what was submitted. Reading it changes nothing. */
  readSubmission(submission: Submission, signal: AbortSignal): Promise<AsyncGenerator<LogPage, void, void>> {
    return this.#visit(submission.session_id, (session) => session.intake.read(submission, signal))
  }

  getRuns(id: string, page: { readonly limit: number; readonly cursor?: string | undefined }): Promise<Page<Run>> {
    return this.#visit(id, async (session) => {
      await session.settled()
      return this.#store.runs(id, page)
    })
  }

  getRun(id: string, runId: string): Promise<Run> {
    return this.#visit(id, (session) => session.runs.find(runId))
  }

  /** The stream of a run, from its first event to its last. Reading it changes nothing. */
  readRun(id: string, runId: string, signal: AbortSignal): Promise<AsyncGenerator<LogPage, void, void>> {
    return this.#visit(id, (session) => session.views.run(runId, signal))
  }

  /** Stops the run that goes on, and waits for its end at most so long. Idempotent; an idle session has nothing to stop. */
  cancelRun(id: string, request: StopRequest, options: { runId?: string | undefined; waitMs: number }): Promise<Stop> {
    return this.#visit(id, async (session) => {
      const { run_id } = await session.runs.stop(request, options.runId)
      return session.runs.stopped(run_id, options.waitMs)
    })
  }

  /** The first half of {@link cancelRun}: asks for the stop, and answers which run it is about. */
  stopRun(id: string, request: StopRequest, runId?: string): Promise<{ readonly run_id?: string | undefined }> {
    return this.#visit(id, (session) => session.runs.stop(request, runId))
  }

  /** The second half: waits for the end of that run. */
  runStopped(id: string, runId: string | undefined, waitMs: number): Promise<Stop> {
    return this.#visit(id, (session) => session.runs.stopped(runId, waitMs))
  }

  /** Compacts the history of a session: in a run of its own, or in the one that goes on. */
  compactSession(id: string, prompt?: string): Promise<CompactionStart> {
    return this.#visit(id, async (session) => {
      const { run, isNew } = await session.runs.compact({ prompt })
      return { run: run.state, isNew }
    })
  }

  steerSession(id: string, messages: readonly InputMessage[], options?: InputOptions): Promise<void> {
    return this.#visit(id, (session) => session.inputs.steer(messages, options))
  }

  /** With a key it is taken once, and a repeat is told that it is a duplicate. */
  async followUpSession(
    id: string,
    messages: readonly InputMessage[],
    key?: string,
    options?: InputOptions,
  ): Promise<FollowUp> {
    const say = () => this.#visit(id, (session) => session.inputs.followUp(messages, options))
    if (key === undefined) return say()
    const command = { scope: `followup ${id}`, key, fingerprint: fingerprintOf(messages) }
    const { outcome, isRepeat } = await this.once(command, say)
    return isRepeat ? { streaming: false, duplicate: true } : outcome
  }

  /** What waits, in the order of delivery. */
  getInputs(id: string): Promise<readonly QueuedInput[]> {
    return this.#visit(id, (session) => session.inputs.list())
  }

  /** Every input whatever became of it, the newest first. */
  getAllInputs(id: string, page: { readonly limit: number; readonly cursor?: string | undefined }) {
    return this.#visit(id, (session) => session.inputs.page(page))
  }

  getInput(id: string, inputId: string): Promise<QueuedInput> {
    return this.#visit(id, (session) => session.inputs.find(inputId))
  }

  updateInput(id: string, inputId: string, change: InputChange): Promise<QueuedInput> {
    return this.#visit(id, (session) => session.inputs.update(inputId, change))
  }

  cancelInput(id: string, inputId: string): Promise<QueuedInput> {
    return this.#visit(id, (session) => session.inputs.cancel(inputId))
  }

  getQueue(id: string): Promise<QueueState> {
    return this.#visit(id, async (session) => {
      const { queue } = session.inputs
      await session.settled()
      return queue
    })
  }

  // Requests

  /** Requests of all sessions, oldest first. */
  findRequests(filter: RequestFilter): Page<Request> {
    this.#life.needStarted()
    return this.#store.findRequests(filter)
  }

  /** Requests of a session and of all below it, oldest first. */
  findSessionRequests(id: string, filter: Omit<RequestFilter, 'session'>): Promise<Page<Request>> {
    return this.#visit(id, async (session) => {
      await session.settled()
      return this.#store.findRequests({ ...filter, session: id })
    })
  }

  /** A request of a session, or of any below it, as it stands. */
  getRequest(id: string, requestId: string): Promise<Request> {
    return this.#visit(id, async (session) => {
      const request = session.answers.find(requestId)
      await session.settled()
      return request
    })
  }

  /** Answers a request of any kind; resolves with the request as it is settled. */
  answerRequest(id: string, requestId: string, answer: AnswerBody): Promise<Request> {
    return this.#visit(id, (session) => session.answers.answer(requestId, answer))
  }

  /** What is open, oldest first. */
  getRequests(id: string): Promise<readonly Request[]> {
    return this.#visit(id, async (session) => {
      const { open } = session.answers
      await session.settled()
      return open
    })
  }

  resumeSession(id: string, answer: ResumeBody): Promise<void> {
    return this.#visit(id, (session) => session.answers.resume(answer))
  }

  resumeElicitation(id: string, answer: ElicitationBody): Promise<void> {
    return this.#visit(id, (session) => session.answers.elicitation(answer))
  }

  // Settings

  updateSessionTitle(id: string, title: string): Promise<void> {
    return this.#visit(id, (session) => session.settings.configure({ title }))
  }

  updateSessionTokens(id: string, tokens: TokenCounters): Promise<void> {
    const { input_tokens, output_tokens, cost } = tokens
    const changes = { input_tokens, output_tokens, ...(cost === undefined ? {} : { cost }) }
    return this.#visit(id, (session) => session.settings.configure(changes))
  }

  updateSessionPermissions(id: string, permissions: Permissions | null): Promise<void> {
    return this.#visit(id, (session) => session.settings.configure({ permissions: permissions ?? undefined }))
  }

  setSessionStarred(id: string, starred: boolean): Promise<void> {
    return this.#visit(id, (session) => session.settings.configure({ starred }))
  }

  /** Chooses what becomes of the session's run at a restart; nothing: what holds for the server. */
  setSessionRecovery(id: string, recovery: Recovery | undefined): Promise<void> {
    return this.#visit(id, (session) => session.settings.configure({ recovery }))
  }

  setSessionSafetyPolicy(id: string, policy: SafetyPolicy): Promise<void> {
    return this.#visit(id, (session) => session.settings.configure({ ...chosenPolicy(policy), policy_pending: false }))
  }

  /** Chooses how long the questions to come may stay open, as Go writes it; `''` leaves it to the server. */
  setSessionRequestDeadline(id: string, deadline: string): Promise<void> {
    return this.#visit(id, (session) => session.settings.configure({ request_deadline: deadline || undefined }))
  }

  toggleToolApproval(id: string): Promise<void> {
    return this.#visit(id, (session) =>
      session.settings.configure({ ...toggledPolicy(session.record), policy_pending: false }),
    )
  }

  /** Changes limits of what a session may spend; one that a budget has paused goes on, unless it would stop again. */
  updateSessionBudget(id: string, limits: Budget): Promise<BudgetState> {
    return this.#visit(id, (session) => session.settings.setBudget(limits, session.runs))
  }

  availableSessionModels(id: string): Promise<SessionModels> {
    return this.#visit(id, (session) => session.settings.models())
  }

  /** Chooses a model for the session's agent; `''` clears the choice. */
  setSessionAgentModel(id: string, ref: string): Promise<void> {
    return this.#visit(id, (session) => session.settings.setModel(ref))
  }

  // Transcript

  addMessage(id: string, message: Message): Promise<string> {
    return this.#visit(id, (session) => session.editor.addMessage(message))
  }

  updateMessage(id: string, messageId: string, message: Message): Promise<void> {
    return this.#visit(id, (session) => session.editor.updateMessage(messageId, message))
  }

  addSummary(id: string, summary: Summary): Promise<void> {
    return this.#visit(id, (session) => session.editor.addSummary(summary))
  }

  // Events

  lastEventSeq(id: string): Promise<number> {
    return this.#visit(id, (session) => session.views.lastEventSeq)
  }

  /** Reads a session's log. The reader keeps the session loaded. */
  streamEvents(id: string, options: ReadOptions): Promise<AsyncGenerator<LogPage, void, void>> {
    return this.#visit(id, (session) => session.views.tail(options))
  }

  // All sessions

  /** Where the log over all sessions ends. */
  get lastFleetSeq(): number {
    this.#life.needStarted()
    return this.#fleet.bounds().head
  }

  /** Reads what is told over all sessions; without `since`, what comes next. */
  streamFleet(options: FleetReadOptions): AsyncGenerator<LogPage, void, void> {
    this.#life.needStarted()
    return this.#fleet.read({ ...options, where: shownInFleet(options) })
  }

  /** All sessions as they are, newest first. Whoever has all pages reads on from the `head` that each of them names. */
  getFleet(filter: FleetFilter): FleetSessions {
    this.#life.needStarted()
    return this.#store.fleetSessions(filter)
  }

  // What a program attaches

  attachRuntime(id: string, runtime: Runtime): Promise<Attachment> {
    return this.#visit(id, (session) => {
      const attachment = session.attachments.attachRuntime(runtime)
      this.#first.resolve()
      return attachment
    })
  }

  registerEventSource(id: string, source: EventSource): Promise<Attachment> {
    return this.#visit(id, (session) => session.registerEventSource(source))
  }

  hasEventSource(id: string): boolean {
    return this.#sessions.peek(id)?.attachments.hasSource === true
  }

  registerFollowUpInjector(id: string, injector: FollowUpInjector): Promise<Attachment> {
    return this.#visit(id, (session) => session.attachments.registerInjector(injector))
  }

  // Waiting: at most so many milliseconds; false when it did not happen in time.

  /** Waits until the first session of this process was created, attached or run. */
  waitReady(milliseconds: number): Promise<boolean> {
    return settledWithin(this.#first.promise, milliseconds)
  }

  /** Waits until a session has a runtime. */
  waitSessionAttached(id: string, milliseconds: number): Promise<boolean> {
    return this.#visit(id, (session) => session.hasRuntime || settledWithin(session.hasRuntimeLater, milliseconds))
  }

  /** Waits until no run goes on. A session that is gone has stopped. */
  async waitStopped(id: string, milliseconds: number): Promise<boolean> {
    const session = this.#sessions.peek(id)
    return session === undefined || settledWithin(session.left(), milliseconds)
  }

  async #visit<T>(id: string, work: (session: LiveSession) => T | Promise<T>): Promise<T> {
    this.#life.needStarted()
    const session = this.#sessions.open(id)
    if (!session.isLost) return session.visit(work)
    await settledWithin(session.left(), lostMs)
    // A session that is loaded after the end of the others would be left to nobody.
    this.#life.needStarted()
    return this.#sessions.open(id).visit(work)
  }
}
