import type { StoredLog } from '../../event-log/event-log.ts'
import type { Agents } from '../../runtime/runtime.ts'
import type { SessionRecord, Store } from '../../store/store.ts'
import type { LiveSession } from '../live-session.ts'
import type { Departures } from '../runs/departures.ts'
import type { RecoveryPolicy } from '../runs/left-run.ts'
import type { RunSlots } from '../runs/run-slots.ts'
import type { RunLimits } from '../runs/run-watch.ts'
import type { Turnstile } from '../runs/turnstile.ts'

/** Whose a defect is, where that is known. */
export interface DefectPlace {
  readonly session_id?: string | undefined
  readonly run_id?: string | undefined
}

/** What sessions share with each other. */
export interface Surroundings {
  readonly store: Store
  readonly agents: Agents
  readonly slots: RunSlots
  /** Where runs that go on after their process has left them wait for their turn. */
  readonly turnstile: Turnstile
  /** Where those pass before that which are on their last attempt: one that ends its process shall end no other run. */
  readonly trials: Turnstile
  /** How runs were left that nothing drives. */
  readonly departures: Departures
  /** Where sessions work that name no directory. */
  readonly workingDir: string | undefined
  readonly ring: { readonly events: number; readonly bytes: number }
  /** What is told over all sessions. */
  readonly fleet: StoredLog
  /** Milliseconds that a question may stay open; nothing is for ever. */
  readonly requestDeadlineMs?: number | undefined
  readonly limits: RunLimits
  readonly recovery: RecoveryPolicy
  /** Loads a session that is new. */
  add(record: SessionRecord): LiveSession
  /** The session, loaded if need be; `undefined` when there is none. */
  find(id: string): LiveSession | undefined
  /** A session that is loaded. */
  peek(id: string): LiveSession | undefined
  /** The sessions below one that are loaded, or were until a commit failed, the lowest first. */
  below(id: string): readonly LiveSession[]
  /** True while the server takes no new work. */
  isDraining(): boolean
  /** True once the process is about to end: runs that the next one goes on with stop where nothing is lost. */
  isLeaving(): boolean
  /** Is told of what must not happen, once, and where it did. */
  onDefect(error: unknown, place?: DefectPlace): void
}

/** What does not depend on how sessions are found. */
export type SharedSurroundings = Omit<Surroundings, 'add' | 'find' | 'peek' | 'below'>
