import { isDeepStrictEqual } from 'node:util'
import { Refusal, type RolledBackTool, type StopReason } from '../../protocol/protocol.ts'
import { leftEffect, type Runtime, unknownEffect } from '../../runtime/runtime.ts'
import { unheard } from '../inputs/new-input.ts'
import { applyRules } from '../inputs/queue-rules.ts'
import { type QueueRuns, QueueStart } from '../inputs/queue-start.ts'
import type { SessionState } from '../state/session-state.ts'
import { interrupted } from '../state/transcript.ts'
import { SessionTasks } from '../tasks/session-tasks.ts'
import { toSettings } from '../views/session-view.ts'
import { ActiveRun, newRun, RunStopped, type StopRequest } from './active-run.ts'
import { isTakenUp } from './left-run.ts'
import { type NextRun, NextRuns } from './next-runs.ts'
import { rollBack, toolsRun } from './rollback.ts'
import { type DrivePlan, RunDrive } from './run-drive.ts'
import type { ResumePlan, RunPlan } from './run-plan.ts'
import type { Ending } from './run-watch.ts'
import type { TakenUp } from './take-up.ts'
import { tellBelow } from './tell-below.ts'

/** Starts the runs of one session, drives each to its one end, and goes on with what waits in the queue. */
export class RunControl {
  readonly #state: SessionState
  readonly #queue: QueueStart
  readonly tasks: SessionTasks
  readonly #next = new NextRuns()
  readonly #begun = Promise.withResolvers<void>()
  #current: ActiveRun | undefined
  #last: ActiveRun | undefined
  #driving: Promise<void> = Promise.resolve()
  #drive: RunDrive | undefined

  /** `lease` gets the session's runtime ready, for a run that the queue starts. */
  constructor(state: SessionState, lease: QueueRuns['lease']) {
    this.#state = state
    const current = (): ActiveRun | undefined => this.#current
    this.#queue = new QueueStart(state, {
      get current() {
        return current()
      },
      begin: (plan, deliver) => this.begin(plan, deliver),
      lease,
    })
    this.tasks = new SessionTasks(state)
  }

  get current(): ActiveRun | undefined {
    return this.#current
  }

  /** The last run that has ended in this process, perhaps not committed yet. */
  get last(): ActiveRun | undefined {
    return this.#last
  }

  /** How a start from the queue stands. */
  get start(): Pick<QueueStart, 'step' | 'refused'> {
    return this.#queue
  }

  /** Resolves when the first run of this process has begun. */
  get begun(): Promise<void> {
    return this.#begun.promise
  }

  get isIdle(): boolean {
    return this.#current === undefined && !this.#queue.isPending
  }

  /** Begins a run with a slot in hand. Decides and records in one breath; the runtime starts after the commit. */
  begin(plan: RunPlan, deliver?: (runId: string) => void): ActiveRun {
    const { recorder, log, record } = this.#state
    const { lease } = plan
    const { runtime, source } = lease
    // A run that only compacts the history lets nothing go on.
    if (plan.work === undefined) this.#state.queue.release()
    this.#choose(plan)
    const run = new ActiveRun(
      newRun({
        session_id: this.#state.id,
        agent: source,
        agent_name: runtime.agent,
        trigger: plan.trigger,
        on_disconnect: plan.onDisconnect,
        additional_prompt: plan.additionalPrompt,
        first_seq: log.head + 1,
        first_position: record.num_items,
        root_run_id: plan.rootRunId,
      }),
    )
    run.hasSlot = true
    this.#current = run
    if (record.title !== '') recorder.event({ type: 'session_title', title: record.title }, run.id)
    deliver?.(run.id)
    for (const message of unheard(plan.messages, this.#state)) this.#state.addUserMessage(message, run.id)
    recorder.event({ type: 'stream_started', agent_name: runtime.agent }, run.id)
    recorder.save({ kind: 'run.put', run: run.state })
    this.#driving = this.#driveToEnd(run, {
      ...plan,
      getReady: async () => {
        await plan.after?.()
        return lease
      },
    })
    this.#begun.resolve()
    return run
  }

  /** Records what a run that begins settles for the session: its agent, and what comes with it. */
  #choose({ lease: { runtime, source }, model = '', work }: RunPlan): void {
    const { record } = this.#state
    const agent = { source, name: runtime.agent }
    const choice = model === '' ? {} : this.#state.modelChoice(agent.name, model)
    const paused = work === undefined ? undefined : record.paused
    this.#state.update({ agent, paused, ...this.#authorDefault(runtime), ...choice })
    if (!isDeepStrictEqual(toSettings(record), toSettings(this.#state.record))) this.#state.tellSettings()
  }

  /** Goes on with a run of a former process, which gets its slot when its turn has come. */
  resume({ run: state, past, endsBelow, openCalls }: TakenUp, plan: ResumePlan): ActiveRun {
    const run = new ActiveRun(state, past, endsBelow, openCalls)
    this.#current = run
    this.#driving = this.#driveToEnd(run, plan)
    this.#begun.resolve()
    return run
  }

  /** Nothing would be lost if the process ended now: the next one goes on with the run, and with those it waits for. */
  get isAtRest(): boolean {
    const run = this.#current
    if (run === undefined || this.#drive?.isPaused === true) return true
    if (!this.#isTakenUp(run) || !run.safePoint.isSafeBut(this.tasks.atRest)) return false
    return !this.#state.requests.isEmpty || this.tasks.atRest.size > 0
  }

  /** Records that the next process goes on with the run. */
  handOver(): void {
    const run = this.#current
    if (run !== undefined && this.#isTakenUp(run)) {
      this.#state.recorder.save({ kind: 'run.put', run: run.handOver() })
    }
  }

  /** Stops the current run: withdraws its requests, then aborts it. Asking again changes nothing. */
  stop(request: StopRequest): ActiveRun | undefined {
    const run = this.#current
    if (run === undefined && this.#queue.isPending) applyRules(this.#state.queue, 'stop')
    this.#queue.takeBack()
    if (run === undefined || run.isStopping) return run
    run.cancel(request)
    applyRules(this.#state.queue, 'stop')
    this.#state.recorder.save({ kind: 'run.put', run: run.state })
    this.#abort(run)
    return run
  }

  /**
   * Stops the current run and begins another as soon as it has left, before anything that waits. Several begin in the order
   * in which they came, and each stops the one before it. Resolves in the breath in which the run has begun.
   */
  replace(next: NextRun): Promise<ActiveRun> {
    const isFirst = this.#next.isEmpty
    const begun = this.#next.add(next)
    if (isFirst) this.#makeWay()
    return begun
  }

  /** Stops the current run for the one that waits for its end. */
  #makeWay(): void {
    const [run, next] = [this.#current, this.#next.first]
    if (run === undefined || next === undefined) return
    const isStopping = run.isStopping
    if (next.rollsBack) run.rollBack()
    if (!isStopping) {
      run.cancel({ by: 'client', reason: 'another run takes its place' })
      applyRules(this.#state.queue, next.rollsBack ? 'rollback' : 'interrupt')
    }
    this.#state.recorder.save({ kind: 'run.put', run: run.state })
    if (!isStopping) this.#abort(run)
  }

  /** Aborts whatever goes on without telling anybody, with all that works for it, and waits until it has left. */
  async abandon(): Promise<void> {
    this.#queue.takeBack()
    this.#next.refuse()
    if (this.#current !== undefined) this.#abort(this.#current)
    await Promise.all([this.#driving, this.tasks.stopBackground({ by: 'parent', reason: 'its session has gone' })])
  }

  /** Takes a slot for a run that begins now: the one that a start from the queue has, or one that is free. */
  tryTakeSlot(): boolean {
    return this.#queue.yieldSlot() || this.#state.around.slots.tryTake()
  }

  /** Starts a run with what waits in the queue, as soon as a slot is free. */
  startQueued(): void {
    this.#queue.start()
  }

  #abort(run: ActiveRun): void {
    const reason = new RunStopped()
    this.#state.requests.withdraw(reason)
    run.abort(reason)
    void this.tasks.leave(run)
  }

  #authorDefault(runtime: Runtime): Partial<SessionState['record']> {
    if (!this.#state.record.policy_pending) return {}
    const policy = runtime.safetyPolicy
    return policy === undefined
      ? { policy_pending: false }
      : { policy_pending: false, safety_policy: policy, tools_approved: policy === 'autonomous' }
  }

  async #driveToEnd(run: ActiveRun, plan: DrivePlan): Promise<void> {
    const drive = new RunDrive(run, plan, this.#state, this.tasks, {
      isCurrent: () => this.#current === run,
      isTakenUp: () => this.#isTakenUp(run),
      abort: () => this.#abort(run),
    })
    this.#drive = drive
    const { detached, ...ending } = await drive.done()
    // A session that does nothing is not told at its next start how the tasks have ended that nobody waits for.
    if (run.state.trigger === 'background') await this.#state.family.inStep()
    const last: Ending = { ...(run.isStopping ? { reason: 'canceled' } : ending), detached }
    this.#finish(run, last, run.rollsBack ? await this.#toolsRun(run) : [])
    try {
      plan.onEnd?.(run.state)
    } catch (cause) {
      this.#state.around.onDefect(cause, { run_id: run.id })
    }
    this.#goOn(run, last.reason)
  }

  /** A log that cannot be read keeps no run from its end. */
  async #toolsRun(run: ActiveRun): Promise<readonly RolledBackTool[]> {
    try {
      await this.#state.recorder.settled()
      return toolsRun(this.#state, run.state)
    } catch (cause) {
      if (!(cause instanceof Refusal)) this.#state.around.onDefect(cause, { run_id: run.id })
      return []
    }
  }

  /** In the breath in which a run has ended: the run that has waited for that gets its slot, or else the queue goes on. */
  #goOn({ hasSlot }: ActiveRun, reason: StopReason): void {
    const { recorder, around } = this.#state
    if (!recorder.isOpen || around.isDraining()) this.#next.refuse()
    if (this.#next.begin((plan) => this.begin(plan)) !== undefined) {
      if (!hasSlot) around.slots.takeBeyond()
      this.#makeWay()
    } else {
      if (hasSlot) around.slots.release()
      this.#queue.after(reason)
    }
  }

  /** The next process goes on with the run. */
  get isTakenUp(): boolean {
    return this.#current !== undefined && this.#isTakenUp(this.#current)
  }

  /** A task goes on if the run goes on that waits for it. */
  #isTakenUp({ state }: ActiveRun): boolean {
    const { record, around, above } = this.#state
    if (!isTakenUp(state, record, around.recovery)) return false
    return state.trigger !== 'delegation' || above?.runs.isTakenUp === true
  }

  #finish(run: ActiveRun, ending: Ending, tools: readonly RolledBackTool[]): void {
    const { recorder, partial } = this.#state
    const { agent_name } = run.state
    if (partial !== undefined) {
      this.#state.transcript.finishPartial()
      this.#state.addMessage(interrupted(partial), run.id)
    }
    run.openCalls.close(this.#state, run.id, run.past === undefined ? leftEffect : unknownEffect)
    this.#abort(run)
    this.#state.skipCompaction(run.id)
    if (ending.error !== undefined) {
      const { code, message } = ending.error
      this.#state.add({ kind: 'error', error: { message, code, agent_name, created_at: new Date().toISOString() } })
      recorder.event({ type: 'error', error: message, code, agent_name }, run.id)
    }
    if (run.rollsBack) this.tasks.stopBelow(rollBack(this.#state, run.state, tools))
    if (ending.detached !== undefined) {
      recorder.event({ type: 'run_detached', reason: ending.detached, agent_name }, run.id)
    }
    // Of tasks that were to go on and did not come to it.
    const open = run.endsBelow.take(() => true)
    tellBelow(this.#state, open)
    const last = recorder.event({ type: 'stream_stopped', reason: ending.reason, agent_name }, run.id)
    recorder.save({ kind: 'run.put', run: run.end(ending.reason, last, ending.error) })
    this.#current = undefined
    this.#last = run
    run.settle(recorder.settled())
  }
}
