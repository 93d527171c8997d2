import type { StoredLog } from '../event-log/event-log.ts'
import type { Recovery } from '../protocol/protocol.ts'
import type { Agents } from '../runtime/runtime.ts'
import type { Store } from '../store/store.ts'
import type { ManagerPhase } from './directory/lifecycle.ts'
import type { RetentionOptions } from './directory/retention.ts'
import { Departures } from './runs/departures.ts'
import { RunSlots } from './runs/run-slots.ts'
import { Turnstile } from './runs/turnstile.ts'
import type { DefectPlace, SharedSurroundings } from './state/surroundings.ts'

/** Between two runs that go on, in milliseconds: what a run costs until it does fits in there several times. */
const takeUpGapMs = 20
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
  /** Milliseconds that a run on its last attempt goes on before the next such run does; 5,000 when nothing is said. */
  readonly recoveryTrialMs?: number | undefined
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
  /** Is told of every defect, once, and whose it is. */
  readonly onDefect?: ((error: unknown, place?: DefectPlace) => void) | undefined
}

/** What the sessions of a manager share, with what holds where its options say nothing. */
export function surroundingsOf(
  options: SessionManagerOptions,
  fleet: StoredLog,
  phase: () => ManagerPhase,
): SharedSurroundings {
  return {
    store: options.store,
    agents: options.agents,
    slots: new RunSlots(options.maxConcurrentRuns ?? Number.POSITIVE_INFINITY),
    turnstile: new Turnstile(takeUpGapMs),
    trials: new Turnstile(options.recoveryTrialMs ?? 5000),
    departures: new Departures(options.recoveryAttempts ?? 3),
    workingDir: options.workingDir,
    ring: { events: options.ringCapacity ?? 1024, bytes: 1024 * 1024 },
    fleet,
    requestDeadlineMs: options.requestDeadlineMs,
    limits: {
      runSilenceMs: options.runSilenceMs ?? 5 * 60_000,
      detachAfterMs: options.detachAfterMs ?? 30_000,
    },
    recovery: {
      recovery: options.recovery ?? 'resume',
      delayMs: options.recoveryDelayMs ?? 500,
    },
    isDraining: () => phase() !== 'ready',
    isLeaving: () => phase() === 'draining' || phase() === 'closed',
    onDefect: (error, place) => options.onDefect?.(error, place),
  }
}
