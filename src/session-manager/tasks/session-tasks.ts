import { type ForeignEvent, Refusal, type Run } from '../../protocol/protocol.ts'
import {
  type Delegation,
  type RunContext,
  type Runtime,
  recallText,
  type Task,
  type Tasks,
} from '../../runtime/runtime.ts'
import type { SessionRecord, TaskOrigin } from '../../store/store.ts'
import type { LiveSession } from '../live-session.ts'
import type { ActiveRun, StopRequest } from '../runs/active-run.ts'
import type { RuntimeLease } from '../runs/run-plan.ts'
import { childRecord } from '../state/session-record.ts'
import type { SessionState } from '../state/session-state.ts'
import { noSpending } from '../state/spending.ts'
import { isAnswer, lastText } from '../state/transcript.ts'
import { unlessDamaged } from '../unless-damaged.ts'
import { toSession } from '../views/session-view.ts'
import type { ExpectedTask, OpenTask, Parent, RunningTask } from './running-task.ts'
import { agentOf, isTask, storedTaskRun, tellSwitch, tellTaskEnd, viewOf } from './task-view.ts'

/** Of the sessions that carried out tasks, the newest that are looked at. */
const mostRemembered = 100

/** What is told above of a task that nobody waits for: what it costs. */
const costs: ReadonlySet<string> = new Set(['token_usage'])
/** What is a session's own affair, also while it works for another. */
const own: ReadonlySet<string> = new Set(['session_title', 'session_updated', 'session_exited'])

/**
 * The tasks that agents of one session have handed over. Each is carried out by a session below it, whose events are told
 * in this session's log too.
 */
export class SessionTasks {
  readonly #state: SessionState
  readonly #running = new Set<RunningTask>()
  /** Sessions whose task was found again by its call. */
  readonly #adopted = new Set<string>()
  /** Sessions whose task has ended here, whatever they know of it themselves. */
  readonly #over = new Set<string>()

  constructor(state: SessionState) {
    this.#state = state
  }

  get isIdle(): boolean {
    return this.#running.size === 0
  }

  get running(): readonly RunningTask[] {
    return [...this.#running]
  }

  isWaitedForBy(run: ActiveRun): boolean {
    return this.running.some(({ waiting }) => waiting === run)
  }

  /** Resolves when everything that was decided by the sessions that carry them out is committed. */
  async settled(): Promise<void> {
    await Promise.all([...this.#running].map(({ session }) => session.settled()))
  }

  /** The calls whose tasks could be left now: the next process goes on with them. */
  get atRest(): ReadonlySet<string> {
    return new Set([...this.#running].flatMap(({ session, callId }) => (session.isAtRest ? callId : [])))
  }

  /**
   * What a session needs to go on with its task, which a former process has left running. Nothing when the run that waited
   * for it is over.
   */
  expect(session: LiveSession, left: Run): ExpectedTask | undefined {
    const { task_of } = session.record
    const waiting = this.#state.around.peek(this.#state.id)?.runs.current
    const isBackground = left.trigger === 'background'
    // People may run the session of a task themselves.
    if (!isTask(left)) return undefined
    if (task_of === undefined || this.#over.has(session.id) || !this.#knows(session.id)) return undefined
    if (!isBackground && (waiting?.past === undefined || waiting.id !== task_of.run_id)) return undefined
    // Its end was told above in a process before, and could not be stored below.
    if (waiting?.past?.completed.has(session.id) === true) return undefined
    const adopted = isBackground ? undefined : Promise.withResolvers<OpenTask>()
    adopted?.promise.catch(() => {})
    const { call_id: callId } = task_of
    return {
      parent: this.#parentOf(left.root_run_id ?? task_of.run_id, isBackground ? undefined : waiting),
      isRolledBack: this.#isRolledBack(session.record),
      lease: adopted?.promise,
      begun: (run) => this.#add({ session, run, callId, waiting: isBackground ? undefined : waiting, adopted }),
      onEnd: (run) => this.#end(session, run, task_of),
    }
  }

  /** The tasks as a run sees them. */
  of(run: ActiveRun, source: string, headers: RunContext['headers']): Tasks {
    return {
      begin: (delegation) => this.#begin(run, { source, headers }, delegation),
      background: () => this.#background(),
      ended: (id) => this.#ended(id),
      stop: async (id) => {
        const task = this.#find(id)
        if (task !== undefined) await stopped(task, { by: 'parent', reason: 'its session wanted it stopped' })
      },
    }
  }

  /** A call has ended: a task that it began in a former process, and that it has not come to again, is waited for by nobody. */
  endCall(run: ActiveRun, callId: string): void {
    const isLeft = ({ session, waiting, adopted, callId: own }: RunningTask): boolean =>
      waiting === run && own === callId && adopted !== undefined && !this.#adopted.has(session.id)
    for (const task of this.running.filter(isLeft)) void stopped(task, callEnded)
  }

  /** Stops the tasks that a run waits for; resolves when they have ended. */
  async leave(run: ActiveRun): Promise<void> {
    await this.#stop(run, parentStopped)
  }

  /** Stops the tasks that nobody waits for; resolves when they have ended. */
  async stopBackground(request: StopRequest): Promise<void> {
    await this.#stop(undefined, request)
  }

  /** Stops the tasks of these sessions; nobody waits for that. */
  stopBelow(ids: ReadonlySet<string>): void {
    for (const task of this.#running) if (ids.has(task.session.id)) void stopped(task, parentStopped)
  }

  async #stop(waiting: ActiveRun | undefined, request: StopRequest): Promise<void> {
    const tasks = [...this.#running].filter((task) => task.waiting === waiting)
    await Promise.all(tasks.map((task) => stopped(task, request)))
  }

  async #begin(
    run: ActiveRun,
    { source, headers }: { readonly source: string; readonly headers: RunContext['headers'] },
    delegation: Delegation,
  ): Promise<Task> {
    run.signal.throwIfAborted()
    const found = this.#findAgain(run, source, delegation)
    if (found !== undefined) return found
    const { callId, isBackground, recall = false, task: text } = delegation
    const origin = { run_id: run.id, call_id: callId, recall }
    const session = this.#state.around.add(childRecord(this.#state.record, delegation, origin))
    this.#state.add({ kind: 'sub_session', session_id: session.id, counted: { cost: 0, spent: noSpending } })
    const runtime = delegation.open()
    const switching = { switching: true, from_agent: agentOf(this.#state), to_agent: runtime.agent }
    if (!isBackground) tellSwitch(this.#state, run.id, switching)
    const task: RunningTask = {
      session,
      run: session.beginTask(text, {
        parent: this.#parentOf(run.state.root_run_id ?? run.id, isBackground ? undefined : run),
        lease: leaseOf(runtime, source),
        headers,
        trigger: isBackground ? 'background' : 'delegation',
        onEnd: (ended) => this.#end(session, ended, origin),
      }),
      callId,
      waiting: isBackground ? undefined : run,
    }
    this.#add(task)
    await Promise.all([session.settled(), this.#state.recorder.settled()])
    return viewOf(session.id, session.record.agent?.name ?? '', task.run.state, session.views.lastText)
  }

  #parentOf(rootRunId: string, waiting: ActiveRun | undefined): Parent {
    const toldAs = (event: ForeignEvent): ForeignEvent | undefined => {
      if (waiting === undefined) return costs.has(event.type) ? event : undefined
      return own.has(event.type) ? undefined : waiting.endsBelow.told(event)
    }
    return { state: this.#state, rootRunId, toldAs }
  }

  #add(task: RunningTask): void {
    this.#running.add(task)
    const forget = (): unknown => this.#running.delete(task)
    task.run.ended.then(forget, forget)
  }

  /** The task that the same call has begun in a former process: it goes on, or has ended meanwhile. */
  #findAgain(run: ActiveRun, source: string, { callId, isBackground, open }: Delegation): Task | undefined {
    if (run.past === undefined) return undefined
    const session = this.#begunBy(run, callId)
    if (session === undefined) return undefined
    this.#adopted.add(session.id)
    const task = this.#find(session.id)
    if (task?.adopted !== undefined) task.adopted.resolve(() => leaseOf(open(), source))
    else if (!isBackground && task === undefined && !run.past.completed.has(session.id))
      this.#tellEnd(session, run.id, true)
    const ended = task?.run.state ?? this.#storedRun(session.id)
    return ended && this.#view(session.id, ended)
  }

  /** The session that a call of the last answer has begun: models may use the id of a call again. */
  #begunBy(run: ActiveRun, callId: string): LiveSession | undefined {
    const { items } = this.#state.transcript
    const last = items.findLastIndex(({ body }) => body.kind === 'message' && isAnswer(body.message))
    const begun = items.slice(last + 1).flatMap(({ body }) => {
      return body.kind === 'sub_session' && !this.#adopted.has(body.session_id) ? body.session_id : []
    })
    return begun
      .flatMap((id) => this.#state.around.find(id) ?? [])
      .find(({ record: { task_of } }) => task_of?.call_id === callId && task_of.run_id === run.id)
  }

  /** Sessions commit one by one: one may be there that this one knows nothing of. It has not begun its work. */
  #knows(id: string): boolean {
    return this.#state.transcript.items.some(({ body }) => body.kind === 'sub_session' && body.session_id === id)
  }

  /** The run that has begun a task was rolled back, or what that run is for. */
  #isRolledBack({ id, task_of }: SessionRecord): boolean {
    const { transcript, around, above, record } = this.#state
    const isHere = transcript.items.some(
      ({ body }) => body.kind === 'sub_session' && body.session_id === id && body.rolled_back !== undefined,
    )
    if (isHere || above === undefined || task_of === undefined) return isHere
    // What people let a session do themselves is theirs, whatever became of its task.
    const run = around.store.run(this.#state.id, task_of.run_id)
    return run !== undefined && isTask(run) && above.tasks.#isRolledBack(record)
  }

  /** In the breath in which the run of a task ends. */
  #end(session: LiveSession, run: Run, { run_id, recall }: TaskOrigin): void {
    session.workAlone()
    this.#over.add(session.id)
    this.#tellEnd(session, run_id, run.trigger === 'delegation')
    if (!recall || run.status === 'canceled') return
    this.#recall(recallText(viewOf(session.id, session.record.agent?.name ?? '', run, session.views.lastText)))
  }

  #tellEnd(session: LiveSession, runId: string, isWaited: boolean): void {
    const task = toSession(session.record, session.views.tree({ from: 0 }, new Set()).items)
    tellTaskEnd(this.#state, runId, { task, agent: session.record.agent?.name ?? '', isWaited })
  }

  /** Said to the run that goes on, or else in a run of its own. A queue that is full has no place for it. */
  #recall(content: string): void {
    const { around, id } = this.#state
    const live = around.peek(id)
    const said = live?.inputs.recall(content)
    said?.catch((failure: unknown) => {
      if (!(failure instanceof Refusal)) around.onDefect(failure)
    })
  }

  #find(id: string): RunningTask | undefined {
    return [...this.#running].find(({ session }) => session.id === id)
  }

  async #ended(id: string): Promise<Task | undefined> {
    const run = (await this.#find(id)?.run.ended) ?? this.#storedRun(id)
    return run && this.#view(id, run)
  }

  #background(): readonly Task[] {
    const stored = this.#state.around.store.children(this.#state.id).slice(-mostRemembered)
    const ids = new Set([...stored, ...[...this.#running].map(({ session }) => session)].map(({ id }) => id))
    return [...ids].flatMap((id) => {
      const run = this.#find(id)?.run.state ?? this.#storedRun(id)
      return run?.trigger === 'background' ? [this.#view(id, run)] : []
    })
  }

  /** The run of a task that does not go on any more: the first of its session. Its end may have been lost. */
  #storedRun(id: string): Run | undefined {
    const run = storedTaskRun(this.#state.around.store, id)
    return run?.status === 'running' ? { ...run, status: 'interrupted' } : run
  }

  #view(id: string, run: Run): Task {
    const { store, peek } = this.#state.around
    const stored = () => lastText(unlessDamaged(() => store.items(id, { last: 50 })) ?? [])
    const text = peek(id)?.views.lastText ?? stored()
    return viewOf(id, run.agent_name, run, text)
  }
}

export const parentStopped: StopRequest = { by: 'parent', reason: 'the run it worked for was stopped' }

const callEnded: StopRequest = { by: 'parent', reason: 'the call that it worked for has ended' }

/** Stops a task and what it has begun; resolves when they have ended. */
async function stopped({ session, run }: RunningTask, request: StopRequest): Promise<void> {
  session.runs.interrupt(run, request)
  // One that cannot be committed has ended too.
  await Promise.all([run.ended.catch(() => {}), session.tasks.stopBackground(request)])
}

function leaseOf(runtime: Runtime, source: string): RuntimeLease {
  return { runtime, source, release: () => runtime.close() }
}
