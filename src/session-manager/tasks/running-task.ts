import type { ForeignEvent, Run } from '../../protocol/protocol.ts'
import type { LiveSession } from '../live-session.ts'
import type { ActiveRun } from '../runs/active-run.ts'
import type { RuntimeLease } from '../runs/run-plan.ts'
import type { SessionState } from '../state/session-state.ts'

/** Opens what carries out a task; whoever calls it releases that. */
export type OpenTask = () => RuntimeLease

/** A task that goes on. */
export interface RunningTask {
  readonly session: LiveSession
  readonly run: ActiveRun
  readonly callId: string
  /** The run that waits for it; `undefined` when nobody does. */
  readonly waiting: ActiveRun | undefined
  /** Of a task that goes on after a restart: its runtime comes when the run that waits for it has come to it again. */
  readonly adopted?: PromiseWithResolvers<OpenTask> | undefined
}

/** A task that goes on after a restart. */
export interface ExpectedTask {
  readonly parent: Parent
  /** What it is for has left the conversation: somebody rolled that back. */
  readonly isRolledBack: boolean
  /** Comes when the run that waits for it has come to it again; `undefined` when nobody waits. */
  readonly lease: Promise<OpenTask> | undefined
  /** It goes on in this run. */
  begun(run: ActiveRun): void
  /** Is called in the breath in which the run ends. */
  onEnd(run: Run): void
}

/** The session that a task is for. */
export interface Parent {
  readonly state: SessionState
  readonly rootRunId: string
  /** An event as it is told there too, if it is. */
  toldAs(event: ForeignEvent): ForeignEvent | undefined
}
