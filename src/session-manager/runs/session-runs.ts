import { type InputMessage, type OnDisconnect, Refusal, type Run, type RunTrigger } from '../../protocol/protocol.ts'
import type { AgentRef, CompactionRequest, RunContext, Runtime } from '../../runtime/runtime.ts'
import type { BudgetState, CompactionStart, RunOptions, Stop } from '../answers.ts'
import { type Gate, switchOf } from '../inputs/gate.ts'
import { newInput } from '../inputs/new-input.ts'
import type { SessionState } from '../state/session-state.ts'
import { toBudgetState } from '../views/session-view.ts'
import { settledWithin } from '../wait.ts'
import type { ActiveRun, StopRequest } from './active-run.ts'
import type { RunControl } from './run-control.ts'
import type { RunPlan } from './run-plan.ts'

/** What a client wants to be run. */
export interface RunRequest {
  readonly agent: AgentRef
  readonly messages: readonly InputMessage[]
  readonly model?: string | undefined
  readonly trigger: RunTrigger
  readonly onDisconnect?: OnDisconnect | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** What a client asks for, with what is new of the messages it has sent. */
export function toRunRequest<A extends AgentRef | undefined, O extends RunOptions>(agent: A, options: O) {
  const { messages, trigger = 'detached', ...more } = options
  return { ...more, agent, trigger, messages: newInput(messages) }
}

/** Starts and stops the runs of one session. */
export class SessionRuns {
  readonly #state: SessionState
  readonly #gate: Gate
  readonly #control: RunControl
  /** Resolves when the tasks that nobody waits for have left that were stopped last. */
  #background: Promise<unknown> = Promise.resolve()

  constructor(state: SessionState, gate: Gate, control: RunControl) {
    this.#state = state
    this.#gate = gate
    this.#control = control
  }

  /** The run that goes on, if any. */
  get current(): ActiveRun | undefined {
    return this.#control.current
  }

  /** The next process goes on with the run that goes on here. */
  get isTakenUp(): boolean {
    return this.#control.isTakenUp
  }

  /** Loads what the run needs, then decides. Resolves when the beginning is committed. */
  async start(request: RunRequest): Promise<ActiveRun> {
    this.#gate.decide('run')
    const [run] = await this.begin(await this.prepare(request), ({ state }) => ({ run: state }))
    return run
  }

  /** Compacts the history: in a run of its own, or in the one that goes on, before its next model call. */
  async compact(request: CompactionRequest): Promise<CompactionStart> {
    for (;;) {
      const { source } = this.#gate.needAgent()
      const { current } = this
      if (current !== undefined) {
        this.#gate.decide('configure')
        this.#state.askForCompaction(request)
        await this.#state.recorder.decided({ run: current.state, isNew: false })
        return { run: current.state, isNew: false }
      }
      this.#gate.decide('run')
      const plan = await this.prepare({ agent: { source }, messages: [], trigger: 'compaction' })
      const { runtime, release } = plan.lease
      const compact = runtime.compact?.bind(runtime)
      if (compact !== undefined && this.current === undefined) {
        const work = (context: RunContext) => compact(context, request)
        const compaction = { ...plan, additionalPrompt: request.prompt, work }
        const [run] = await this.begin(compaction, ({ state }) => ({ run: state, isNew: true }))
        return { run: run.state, isNew: true }
      }
      await release()
      if (compact === undefined) throw new Refusal('compaction_unsupported')
    }
  }

  /** Lets a session go on that a budget has paused; answers nothing when it is not, or goes on already. */
  async goOn(): Promise<BudgetState | undefined> {
    if (!this.isPaused) return undefined
    const { source } = this.#gate.needAgent()
    this.#gate.decide('run')
    const plan = await this.prepare({ agent: { source }, messages: [], trigger: 'budget' })
    if (!this.isPaused) {
      await plan.lease.release()
      return undefined
    }
    const [, state] = await this.begin(plan, ({ id }) => ({ ...toBudgetState(this.#state.record), run_id: id }))
    return state
  }

  /** A budget has stopped it, and nothing goes on. */
  get isPaused(): boolean {
    return this.current === undefined && this.#state.record.paused !== undefined
  }

  /** Gets a run ready whose beginning may still be refused. */
  async prepare({ agent, messages, model = '', headers, trigger, onDisconnect }: RunRequest): Promise<RunPlan> {
    this.#state.load()
    let lease = await this.#gate.leaseFor(agent)
    try {
      const said = commanded(lease.runtime, messages)
      if (said.agent !== undefined) {
        const other = await this.#gate.lease({ source: lease.source, name: said.agent })
        await lease.release()
        lease = other
      }
      if (model !== '') await switchOf(lease.runtime).check(model)
      const asked = { source: agent.source, name: said.agent ?? agent.name }
      return { lease, messages: said.messages, model, headers, trigger, onDisconnect, agent: asked }
    } catch (refusal) {
      await lease.release()
      throw refusal
    }
  }

  /** Begins a run in the breath in which it is called, or refuses. Answers it, and what has been decided with it. */
  async begin<T>(plan: RunPlan, outcomeOf: (run: ActiveRun) => T): Promise<readonly [ActiveRun, T]> {
    try {
      this.#gate.decide('run')
      if (this.#state.around.isDraining()) throw new Refusal('shutting_down', undefined, { retryAfter: 1 })
      if (!this.#control.tryTakeSlot()) throw new Refusal('too_many_runs', undefined, { retryAfter: 1 })
    } catch (refusal) {
      await plan.lease.release()
      throw refusal
    }
    const run = this.#control.begin(plan)
    return [run, await this.#state.recorder.decided(outcomeOf(run))]
  }

  /** Stops that run at once, if it is the one that goes on; nobody waits for that here. */
  interrupt(run: ActiveRun, request: StopRequest): void {
    if (run === this.current) this.#control.stop(request)
  }

  /**
   * Stops the run that goes on, and all tasks below that nobody waits for; one that is named and does not go on is left as it
   * is. Answers which run that is, when all of it is committed; {@link stopped} waits for the end.
   */
  async stop(request: StopRequest, runId: string | undefined): Promise<{ readonly run_id?: string | undefined }> {
    this.#gate.decide('cancel')
    if (runId !== undefined && runId !== this.current?.id) {
      const { run_id } = await this.find(runId)
      return this.#state.recorder.decided({ run_id })
    }
    const run = this.#control.stop(request)
    const below = this.#state.around.below(this.#state.id).filter(({ isLost }) => !isLost)
    const tasks = [this.#control.tasks, ...below.map((session) => session.tasks)]
    this.#background = Promise.all(tasks.map((own) => own.stopBackground(request)))
    const decided = this.#state.recorder.decided({ run_id: run?.id })
    await Promise.all([decided, ...below.map((session) => session.settled())])
    return decided
  }

  /** Waits for the end of a run that was stopped, at most so long; without one, for the tasks. */
  async stopped(runId: string | undefined, waitMs: number): Promise<Stop> {
    if (runId === undefined) {
      await settledWithin(this.#background, waitMs)
      return { stopped: true, run: undefined }
    }
    if (this.current?.id === runId) await settledWithin(this.current.ended, waitMs)
    const run = await this.find(runId)
    return { stopped: run.status !== 'running', run }
  }

  /** {@link stop}, then {@link stopped}. */
  async cancel(request: StopRequest, runId: string | undefined, waitMs: number): Promise<Stop> {
    const { run_id } = await this.stop(request, runId)
    return this.stopped(run_id, waitMs)
  }

  /** A run as it stands, told when that is committed. Throws `Refusal('unknown_run')`. */
  async find(runId: string): Promise<Run> {
    const run = await this.known(runId)
    if (run === undefined) throw new Refusal('unknown_run')
    return run
  }

  /** The same; `undefined` when there is none, or none any longer. */
  async known(runId: string): Promise<Run | undefined> {
    const live = this.current?.id === runId ? this.current.state : undefined
    await this.#state.recorder.settled()
    return live ?? this.#state.around.store.run(this.#state.id, runId)
  }
}

/** What was said, with the slash commands that name another agent spelled out; all are read by the agent they were said to. */
function commanded(
  runtime: Runtime,
  messages: readonly InputMessage[],
): { readonly messages: readonly InputMessage[]; readonly agent: string | undefined } {
  const meant = messages.map((message) => ({ message, command: runtime.command?.(message.content) }))
  return {
    messages: meant.map(({ message, command }) =>
      command === undefined ? message : { ...message, content: command.text },
    ),
    agent: meant.findLast(({ command }) => command !== undefined)?.command?.agent,
  }
}
