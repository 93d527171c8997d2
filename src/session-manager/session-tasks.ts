import { type ForeignEvent, Refusal, type Run } from '../protocol/protocol.ts'
import type { Delegation, RunContext, Task, Tasks } from '../runtime/runtime.ts'
import type { ActiveRun, StopRequest } from './active-run.ts'
import type { LiveSession } from './live-session.ts'
import { childRecord } from './session-record.ts'
import type { SessionState } from './session-state.ts'
import { toSession } from './session-view.ts'
import { lastText } from './transcript.ts'

/** Of the sessions that carried out tasks, the newest that are looked at. */
const mostRemembered = 100

interface RunningTask {
  readonly session: LiveSession
  readonly run: ActiveRun
  /** The run that waits for it; `undefined` when nobody does. */
  readonly waiting: ActiveRun | undefined
}

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

  constructor(state: SessionState) {
    this.#state = state
  }

  get isIdle(): boolean {
    return this.#running.size === 0
  }

  /** Resolves when everything that was decided by the sessions that carry them out is committed. */
  async settled(): Promise<void> {
    await Promise.all([...this.#running].map(({ session }) => session.settled()))
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

  /** Stops the tasks that a run waits for; resolves when they have ended. */
  async leave(run: ActiveRun): Promise<void> {
    await this.#stop(run, parentStopped)
  }

  /** Stops the tasks that nobody waits for; resolves when they have ended. */
  async stopBackground(request: StopRequest): Promise<void> {
    await this.#stop(undefined, request)
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
    const { isBackground, task: text } = delegation
    const session = this.#state.around.add(childRecord(this.#state.record, delegation))
    this.#state.add({ kind: 'sub_session', session_id: session.id })
    const runtime = delegation.open()
    if (!isBackground) this.#tellSwitch(run, { switching: true, from_agent: this.#agent, to_agent: runtime.agent })
    const rootRunId = run.state.root_run_id ?? run.id
    const tells = ({ type }: ForeignEvent): boolean => (isBackground ? costs.has(type) : !own.has(type))
    const task: RunningTask = {
      session,
      run: session.beginTask(text, {
        parent: { state: this.#state, rootRunId, tells },
        lease: { runtime, source, release: () => runtime.close() },
        headers,
        trigger: isBackground ? 'background' : 'delegation',
        onEnd: () => this.#end(task, run, delegation),
      }),
      waiting: isBackground ? undefined : run,
    }
    this.#running.add(task)
    const forget = (): unknown => this.#running.delete(task)
    task.run.ended.then(forget, forget)
    await Promise.all([session.settled(), this.#state.recorder.settled()])
    return viewOf(session.id, session.record.agent?.name ?? '', task.run.state, session.views.lastText)
  }

  /** In the breath in which the run of a task ends. */
  #end(task: RunningTask, run: ActiveRun, { recall }: Delegation): void {
    const { session } = task
    session.workAlone()
    const { id, recorder } = this.#state
    const sub_session = toSession(session.record, session.views.tree({ from: 0 }, new Set()).items)
    const agent_name = session.record.agent?.name ?? ''
    recorder.event({ type: 'sub_session_completed', agent_name, parent_session_id: id, sub_session }, run.id)
    if (task.waiting !== undefined) {
      this.#tellSwitch(run, { switching: false, from_agent: agent_name, to_agent: this.#agent })
    }
    if (recall !== undefined && task.run.state.status !== 'canceled') {
      this.#recall(recall(viewOf(session.id, agent_name, task.run.state, session.views.lastText)))
    }
  }

  get #agent(): string {
    return this.#state.record.agent?.name ?? ''
  }

  #tellSwitch(run: ActiveRun, change: { switching: boolean; from_agent: string; to_agent: string }): void {
    this.#state.recorder.event({ type: 'agent_switching', agent_name: change.from_agent, ...change }, run.id)
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
    const { entries } = this.#state.around.store.runs(id, { limit: 100 })
    const run = entries.findLast(({ trigger }) => trigger === 'background' || trigger === 'delegation')
    return run?.status === 'running' ? { ...run, status: 'interrupted' } : run
  }

  #view(id: string, run: Run): Task {
    const { store, peek } = this.#state.around
    const text = peek(id)?.views.lastText ?? lastText(store.items(id, { last: 50 }))
    return viewOf(id, run.agent_name, run, text)
  }
}

const parentStopped: StopRequest = { by: 'parent', reason: 'the run it worked for was stopped' }

/** Stops a task and what it has begun; resolves when they have ended. */
async function stopped({ session, run }: RunningTask, request: StopRequest): Promise<void> {
  session.runs.interrupt(run, request)
  // One that cannot be committed has ended too.
  await Promise.all([run.ended.catch(() => {}), session.tasks.stopBackground(request)])
}

function viewOf(id: string, agent: string, { status, reason, error }: Run, output: string): Task {
  const spent = reason === 'budget_exceeded' ? 'what may be spent on it is used up' : undefined
  return { id, agent, status, output, error: error?.message ?? spent }
}
