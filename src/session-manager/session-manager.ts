import type { LogPage, ReadOptions } from '../event-log/event-log.ts'
import type {
  AgentFileView,
  AgentSummary,
  AnswerBody,
  Budget,
  ElicitationBody,
  Explanation,
  InputChange,
  InputMessage,
  Message,
  Permissions,
  QueuedInput,
  QueueState,
  Recovery,
  Request,
  ResumeBody,
  Run,
  SafetyPolicy,
  Session,
  SessionDetails,
  SessionModels,
  SessionRecovery,
  SessionStatus,
  SessionSummary,
  SessionTemplate,
  Snapshot,
  Summary,
} from '../protocol/protocol.ts'
import type { AgentRef, Agents, Runtime } from '../runtime/runtime.ts'
import type { FleetFilter, FleetSessions, Page, RequestFilter, SessionFilter, Store } from '../store/store.ts'
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
import { Lifecycle, type ManagerPhase, type Readiness } from './directory/lifecycle.ts'
import { SessionDirectory } from './directory/session-directory.ts'
import { SessionMap } from './directory/session-map.ts'
import { SessionVisits } from './directory/session-visits.ts'
import type { TakenUpRuns } from './directory/taken-up-runs.ts'
import type { FleetReadOptions } from './fleet/fleet-filter.ts'
import { FleetView, fleetLog } from './fleet/fleet-view.ts'
import { type Decided, Idempotency, type KeyedCommand } from './idempotency.ts'
import type { Attachment, EventSource, FollowUpInjector } from './inputs/attachments.ts'
import type { InputOptions } from './inputs/input-queue.ts'
import type { Submission } from './inputs/intake.ts'
import { followUpOnce } from './inputs/keyed-follow-up.ts'
import type { LiveSession } from './live-session.ts'
import { type SessionManagerOptions, surroundingsOf } from './manager-options.ts'
import type { StopRequest } from './runs/active-run.ts'
import { toRunRequest } from './runs/session-runs.ts'
import { toMessages } from './state/session-tree.ts'
import { toDetails, toRecovery } from './views/session-view.ts'
import { settledWithin } from './wait.ts'

export type * from './answers.ts'
export type { ManagerPhase, Readiness } from './directory/lifecycle.ts'
export type { TakenUpRuns } from './directory/taken-up-runs.ts'
export { fingerprintOf } from './fingerprint.ts'
export type { FleetReadOptions } from './fleet/fleet-filter.ts'
export type { Decided, KeyedCommand } from './idempotency.ts'
export type { Attachment, EventSource, FollowUpInjector } from './inputs/attachments.ts'
export type { InputOptions } from './inputs/input-queue.ts'
export type { Submission } from './inputs/intake.ts'
export type { SessionManagerOptions } from './manager-options.ts'
export type { StopRequest } from './runs/active-run.ts'
export type { DefectPlace } from './state/surroundings.ts'

/**
 * Owns sessions: finds, loads and closes them. Every method opens the session it is about and delegates; an unknown
 * session is `Refusal('unknown_session')`. What a method has answered is committed.
 */
export class SessionManager {
  readonly #store: Store
  readonly #agents: Agents
  readonly #sessions: SessionMap
  readonly #keys: Idempotency
  readonly #life: Lifecycle
  readonly #visits: SessionVisits
  readonly #directory: SessionDirectory
  readonly #fleet: FleetView

  constructor(options: SessionManagerOptions) {
    const { store, agents, workingDirRoot } = options
    this.#store = store
    this.#agents = agents
    const log = fleetLog(store)
    this.#keys = new Idempotency(store, options.idempotencyRetentionMs)
    this.#sessions = new SessionMap(surroundingsOf(options, log, () => this.#life.phase))
    this.#life = new Lifecycle(this.#sessions, options)
    this.#visits = new SessionVisits(this.#sessions, this.#life)
    const [sessions, life, visits, keys] = [this.#sessions, this.#life, this.#visits, this.#keys]
    this.#directory = new SessionDirectory({ store, sessions, life, visits, keys, workingDirRoot })
    this.#fleet = new FleetView(store, log, life)
  }

  // Life

  /** Opens the store and takes up what a former process left running. Throws what `Store.open` throws. */
  start(): Promise<TakenUpRuns> {
    return this.#life.start()
  }

  /**
   * Takes no new runs, and waits until those that go on have ended or come to rest, at most so many milliseconds. Answers how
   * many have not.
   */
  drain(graceMs: number): Promise<number> {
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

  createSession(template: SessionTemplate = {}): Promise<Session> {
    return this.#directory.create(template)
  }

  getSession(id: string, messages: MessageRange = 'all'): Promise<SessionDetails> {
    const view = messages === 'none' ? undefined : toMessages
    return this.#visit(id, (session) =>
      session.views.read((record, items) => toDetails(record, view?.(items)), toItemRange(messages)),
    )
  }

  getSessions(filter: SessionFilter): Page<SessionSummary> {
    return this.#directory.list(filter)
  }

  /** Sessions that run here or have something attached, newest first; a cursor means nothing. */
  getActiveSessions(filter: SessionFilter = { limit: 1000 }): Promise<readonly SessionSummary[]> {
    return this.#directory.active(filter)
  }

  /** A page of messages, oldest first. The cursor is a position among the session's items. */
  getMessages(id: string, page: { readonly limit: number; readonly from: number }): Promise<MessagePage> {
    return this.#visit(id, (session) => session.views.messages(page))
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
    return this.#directory.children(id)
  }

  /**
   * Deletes a session with all below it, and stops their runs. With a wait, tells whether the runs have left by then.
   */
  deleteSession(id: string, waitMs?: number): Promise<{ readonly left: boolean }> {
    return this.#directory.delete(id, waitMs)
  }

  /** Waits until a session that was deleted has left, with all below it. */
  waitLeft(id: string, milliseconds: number): Promise<boolean> {
    return this.#directory.left(id, milliseconds)
  }

  batchDeleteSessions(ids: readonly string[]): Promise<BatchDeletion> {
    return this.#directory.deleteAll(ids)
  }

  /** Exports the sessions that exist; `missing` names the others. */
  batchExportSessions(ids: readonly string[]): Promise<BatchExport> {
    return this.#directory.exportAll(ids)
  }

  exportSessionForRecovery(id: string): Promise<SessionRecovery> {
    return this.#visit(id, (session) => session.views.read(toRecovery, { from: 0 }))
  }

  /** A new session that begins as this one was before its N-th user message, counted from 0. */
  forkSession(id: string, userMessageIndex: number): Promise<SessionDetails> {
    return this.#directory.fork(id, userMessageIndex)
  }

  // Runs

  /** Begins a run. Refuses, before anything is changed, what cannot be run. */
  runSession(id: string, agent: AgentRef, options: RunOptions): Promise<StartedRun> {
    return this.#visits.use(id, async (session) =>
      session.views.started(await session.runs.start(toRunRequest(agent, options))),
    )
  }

  /** Runs or says something, whatever the session does; without an agent, to whichever answers. */
  submit(id: string, agent: AgentRef | undefined, options: SubmitOptions): Promise<Submission> {
    return this.#visits.use(id, (session) => session.intake.submit(toRunRequest(agent, options)))
  }

  /** The stream of the run that takes what was submitted. Reading it changes nothing. */
  readSubmission(submission: Submission, signal: AbortSignal): Promise<AsyncGenerator<LogPage, void, void>> {
    return this.#visit(submission.session_id, (session) => session.intake.read(submission, signal))
  }

  getRuns(id: string, page: { readonly limit: number; readonly cursor?: string | undefined }): Promise<Page<Run>> {
    return this.#visits.settled(id, () => this.#store.runs(id, page))
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
    return this.#visit(id, (session) => session.runs.cancel(request, options.runId, options.waitMs))
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
    return this.#visit(id, (session) => session.runs.compact({ prompt }))
  }

  steerSession(id: string, messages: readonly InputMessage[], options?: InputOptions): Promise<void> {
    return this.#visit(id, (session) => session.inputs.steer(messages, options))
  }

  /** With a key it is taken once, and a repeat is told that it is a duplicate. */
  followUpSession(
    id: string,
    messages: readonly InputMessage[],
    key?: string,
    options?: InputOptions,
  ): Promise<FollowUp> {
    const say = () => this.#visit(id, (session) => session.inputs.followUp(messages, options))
    return key === undefined ? say() : followUpOnce(this, { id, key, messages }, say)
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
    return this.#visits.read(id, (session) => session.inputs.queue)
  }

  // Requests

  /** Requests of all sessions, oldest first. */
  findRequests(filter: RequestFilter): Page<Request> {
    return this.#fleet.requests(filter)
  }

  /** Requests of a session and of all below it, oldest first. */
  findSessionRequests(id: string, filter: Omit<RequestFilter, 'session'>): Promise<Page<Request>> {
    return this.#visits.settled(id, () => this.#store.findRequests({ ...filter, session: id }))
  }

  /** A request of a session, or of any below it, as it stands. */
  getRequest(id: string, requestId: string): Promise<Request> {
    return this.#visits.read(id, (session) => session.answers.find(requestId))
  }

  /** Answers a request of any kind; resolves with the request as it is settled. */
  answerRequest(id: string, requestId: string, answer: AnswerBody): Promise<Request> {
    return this.#visit(id, (session) => session.answers.answer(requestId, answer))
  }

  /** What is open, oldest first. */
  getRequests(id: string): Promise<readonly Request[]> {
    return this.#visits.read(id, (session) => session.answers.open)
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
    return this.#visit(id, (session) => session.settings.setTokens(tokens))
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
    return this.#visit(id, (session) => session.settings.setPolicy(policy))
  }

  /** Chooses how long the questions to come may stay open, as Go writes it; `''` leaves it to the server. */
  setSessionRequestDeadline(id: string, deadline: string): Promise<void> {
    return this.#visit(id, (session) => session.settings.configure({ request_deadline: deadline || undefined }))
  }

  toggleToolApproval(id: string): Promise<void> {
    return this.#visit(id, (session) => session.settings.toggleApproval())
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
    return this.#fleet.head
  }

  /** Reads what is told over all sessions; without `since`, what comes next. */
  streamFleet(options: FleetReadOptions): AsyncGenerator<LogPage, void, void> {
    return this.#fleet.read(options)
  }

  /** All sessions as they are, newest first. Whoever has all pages reads on from the `head` that each of them names. */
  getFleet(filter: FleetFilter): FleetSessions {
    return this.#fleet.sessions(filter)
  }

  // What a program attaches

  attachRuntime(id: string, runtime: Runtime): Promise<Attachment> {
    return this.#visits.use(id, (session) => session.attachments.attachRuntime(runtime))
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
    return settledWithin(this.#visits.used, milliseconds)
  }

  /** Waits until a session has a runtime. */
  waitSessionAttached(id: string, milliseconds: number): Promise<boolean> {
    return this.#visit(id, (session) => session.hasRuntime || settledWithin(session.hasRuntimeLater, milliseconds))
  }

  /** Waits until no run goes on. A session that is gone has stopped. */
  waitStopped(id: string, milliseconds: number): Promise<boolean> {
    return this.#directory.stopped(id, milliseconds)
  }

  #visit<T>(id: string, work: (session: LiveSession) => T | Promise<T>): Promise<T> {
    return this.#visits.visit(id, work)
  }
}
