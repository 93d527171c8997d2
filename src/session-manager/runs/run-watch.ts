import type { DetachReason, FailureCode, StopReason } from '../../protocol/protocol.ts'
import type { SessionState } from '../state/session-state.ts'
import type { SessionTasks } from '../tasks/session-tasks.ts'
import type { ActiveRun } from './active-run.ts'
import type { RunActivity } from './run-activity.ts'

/** How a run ended. */
export interface Ending {
  readonly reason: StopReason
  readonly error?: { readonly code: FailureCode; readonly message: string }
  /** What carried it out was left behind. */
  readonly detached?: DetachReason | undefined
}

/** How long a run may do what nobody can wait for, in milliseconds; `Infinity` is for ever. */
export interface RunLimits {
  /** Tell nothing while nothing is known to go on in it. */
  readonly runSilenceMs: number
  /** Stay when it was stopped. */
  readonly detachAfterMs: number
}

/** A runtime took no notice of its signal: what it still holds is given back when it leaves. */
export class RunLeftBehind extends Error {
  constructor(runId: string) {
    super(`what carries out the run ${runId} has not left in time after its signal`)
    this.name = 'RunLeftBehind'
  }
}

/** What is done in a run, and what it means to stop it. */
interface RunWork {
  carryOut(): Promise<Ending>
  /** Lets go of what the run has held, when it has left. */
  letGo(): Promise<void>
  abort(): void
}

const stuck: Ending = {
  reason: 'error',
  error: { code: 'stuck', message: 'the run told nothing for too long although nothing went on in it' },
}

/**
 * Carries out a run, and resolves when it has left and let go of everything, or was left behind. What was left behind lets go
 * of what it holds when it leaves after all.
 */
export async function underWatch(
  run: ActiveRun,
  state: SessionState,
  tasks: SessionTasks,
  { carryOut, letGo, abort }: RunWork,
): Promise<Ending> {
  const { activity, signal } = run
  const watched: WatchedRun = {
    activity,
    signal,
    abort,
    isHeldUp: () =>
      !state.requests.isEmpty || tasks.isWaitedForBy(run) || !state.recorder.isSettled || state.around.isLeaving(),
    tasksLeft: () => (tasks.isWaitedForBy(run) ? tasks.leave(run) : undefined),
  }
  const watch = new RunWatch(watched, state.around.limits)
  const ended = carryOut().then((ending) => (activity.leaving?.isStuck === true ? stuck : ending))
  const detached = await Promise.race([ended.then(letGo).then(() => undefined), watch.givenUp])
  watch.end()
  // It may have ended and only hold on to what it held.
  const ending = await Promise.race([ended, detached === 'stuck' ? stuck : ({ reason: 'canceled' } as const)])
  return detached === undefined ? ending : { ...ending, detached }
}

/** A run that is watched. */
interface WatchedRun {
  readonly activity: RunActivity
  readonly signal: AbortSignal
  /** Something is waited for that its events do not tell: a person, a task, the store, the end of the process. */
  isHeldUp(): boolean
  /** Stops it, because it is stuck. */
  abort(): void
  /** The tasks that it waits for; resolves when they have left. `undefined` when there are none. */
  tasksLeft(): Promise<unknown> | undefined
}

/** A process that stood still must not make a run look silent or stubborn, so looks are counted, not time. */
const looks = 5

/**
 * Watches one run, so that it cannot be there for ever: one that tells nothing although nothing goes on in it is aborted,
 * and one that does not leave soon after its signal is given up. Its timers keep no process alive.
 */
class RunWatch {
  readonly #run: WatchedRun
  readonly #limits: RunLimits
  readonly #givenUp = Promise.withResolvers<DetachReason>()
  #silentLooks = 0
  #heard = 0
  #looking: NodeJS.Timeout | undefined
  #leaving: NodeJS.Timeout | undefined

  constructor(run: WatchedRun, limits: RunLimits) {
    this.#run = run
    this.#limits = limits
    if (Number.isFinite(limits.runSilenceMs)) this.#lookLater()
    run.signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Resolves when nobody waits for the run any longer. */
  get givenUp(): Promise<DetachReason> {
    return this.#givenUp.promise
  }

  end(): void {
    this.#run.signal.removeEventListener('abort', this.#onAbort)
    clearTimeout(this.#looking)
    clearTimeout(this.#leaving)
  }

  #lookLater(): void {
    this.#looking = setTimeout(() => this.#look(), this.#limits.runSilenceMs / looks).unref()
  }

  #look(): void {
    const { activity, signal } = this.#run
    if (signal.aborted) return
    const isSilent =
      !activity.isWaiting &&
      activity.recovering === undefined &&
      !this.#run.isHeldUp() &&
      activity.heard.ticks === this.#heard
    this.#heard = activity.heard.ticks
    this.#silentLooks = isSilent ? this.#silentLooks + 1 : 0
    if (this.#silentLooks < looks) this.#lookLater()
    else {
      activity.leave(true)
      this.#run.abort()
    }
  }

  readonly #onAbort = (): void => {
    this.#run.activity.leave(false)
    this.#leaveLater()
  }

  #leaveLater(left = looks): void {
    const { detachAfterMs } = this.#limits
    if (!Number.isFinite(detachAfterMs)) return
    const next = (): void => (left > 1 ? this.#leaveLater(left - 1) : this.#giveUp())
    this.#leaving = setTimeout(next, detachAfterMs / looks).unref()
  }

  /** A run whose tasks are still leaving is not to blame: they are watched themselves, and then it gets its time. */
  #giveUp(): void {
    const tasks = this.#run.tasksLeft()
    if (tasks !== undefined) void tasks.then(() => this.#leaveLater())
    else this.#givenUp.resolve(this.#run.activity.leaving?.isStuck === true ? 'stuck' : 'stop_ignored')
  }
}
