import { Refusal, type StopReason } from '../../protocol/protocol.ts'
import { RunFailure, type RuntimeEvent } from '../../runtime/runtime.ts'
import type { SessionState } from '../state/session-state.ts'
import type { SessionTasks } from '../tasks/session-tasks.ts'
import { unlessAborted } from '../wait.ts'
import type { ActiveRun } from './active-run.ts'
import { NotResumed } from './resumption.ts'
import { runContext } from './run-context.ts'
import type { RunPlan, RuntimeLease } from './run-plan.ts'
import { recordEvent } from './run-record.ts'
import { type Ending, RunLeftBehind, underWatch } from './run-watch.ts'

/** What is to be carried out, and what for. */
export interface DrivePlan extends Pick<RunPlan, 'headers' | 'work' | 'onEnd'> {
  /** To be released also when the run does not come to it. */
  readonly lease?: RuntimeLease | undefined
  getReady(run: ActiveRun): Promise<RuntimeLease>
}

/** What a run is to its session. */
interface Standing {
  /** The session has not gone on without it. */
  isCurrent(): boolean
  /** The next process goes on with it. */
  isTakenUp(): boolean
  abort(): void
}

/** Carries out one run, and records what it tells. */
export class RunDrive {
  readonly #run: ActiveRun
  readonly #plan: DrivePlan
  readonly #state: SessionState
  readonly #tasks: SessionTasks
  readonly #standing: Standing
  /** What the run holds until it has left. */
  #lease: RuntimeLease | undefined
  #isPaused = false

  constructor(run: ActiveRun, plan: DrivePlan, state: SessionState, tasks: SessionTasks, standing: Standing) {
    this.#run = run
    this.#plan = plan
    this.#state = state
    this.#tasks = tasks
    this.#standing = standing
    this.#lease = plan.lease
  }

  /** It has stopped where nothing is lost, for the next process to go on with it. */
  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Resolves when the run has left and let go of everything, or was left behind. */
  async done(): Promise<Ending> {
    const ending = await underWatch(this.#run, this.#state, this.#tasks, {
      carryOut: () => this.#carryOut(),
      letGo: () => this.#letGo(),
      abort: () => this.#standing.abort(),
    })
    if (ending.detached !== undefined) {
      this.#lease?.forget?.()
      this.#tellDefect(new RunLeftBehind(this.#run.id))
    }
    return ending
  }

  async #carryOut(): Promise<Ending> {
    const run = this.#run
    const { getReady, headers = {}, work } = this.#plan
    try {
      await this.#state.recorder.settled()
      const lease = await this.#ready(getReady)
      this.#lease = lease
      if (this.#state.around.isLeaving()) await this.#pauseIfSafe()
      const { runtime, source } = lease
      run.activity.begin(runtime.patience)
      const tasks = this.#tasks.of(run, source, headers)
      const context = runContext(this.#state, run, runtime, { tasks, headers })
      return { reason: await this.#record(work?.(context, runtime) ?? runtime.run(context)) }
    } catch (cause) {
      return run.signal.aborted ? { reason: 'canceled' } : this.#judge(cause)
    }
  }

  /** A run that has not gone on yet would lose nothing. */
  async #ready(getReady: DrivePlan['getReady']): Promise<RuntimeLease> {
    this.#isPaused = this.#run.past !== undefined
    try {
      return await getReady(this.#run)
    } finally {
      this.#isPaused = false
    }
  }

  async #letGo(): Promise<void> {
    await this.#tasks.leave(this.#run)
    await this.#lease?.release().catch((cause: unknown) => this.#tellDefect(cause))
  }

  async #record(events: AsyncGenerator<RuntimeEvent, StopReason, void>): Promise<StopReason> {
    try {
      for (;;) {
        const step = await events.next()
        if (step.done === true) return step.value
        // It was left behind: whatever it tells now is about a run that has ended.
        if (!this.#standing.isCurrent()) return 'canceled'
        recordEvent(this.#state, this.#run, step.value)
        if (step.value.type === 'tool_call_response') this.#tasks.endCall(this.#run, step.value.tool_call_id)
        const { pressure } = this.#state.recorder
        if (pressure !== undefined) await pressure
        if (this.#state.around.isLeaving() && !this.#run.safePoint.isTelling) await this.#pauseIfSafe()
      }
    } finally {
      // When it was not the runtime that ended, it must let go of what it holds.
      await events.return('canceled')
    }
  }

  /** A run that the next process goes on with stops where nothing is lost. */
  async #pauseIfSafe(): Promise<void> {
    if (!this.#standing.isTakenUp() || !this.#run.safePoint.isSafeBut(new Set())) return
    this.#isPaused = true
    await unlessAborted(new Promise(() => {}), this.#run.signal).finally(() => {
      this.#isPaused = false
    })
  }

  #tellDefect(cause: unknown): void {
    this.#state.around.onDefect(cause, { run_id: this.#run.id })
  }

  #judge(cause: unknown): Ending {
    if (cause instanceof RunFailure)
      return { reason: cause.reason, error: { code: cause.code, message: cause.message } }
    if (cause instanceof NotResumed) return { reason: 'interrupted', error: cause.error }
    if (cause instanceof Refusal && cause.code === 'store_unavailable') {
      return { reason: 'error', error: { code: 'store_unavailable', message: cause.message } }
    }
    this.#tellDefect(cause)
    return { reason: 'error', error: { code: 'internal', message: 'the run failed because of a defect in the server' } }
  }
}
