import type { Recovery, Request, Run } from '../../protocol/protocol.ts'
import type { SessionRecord } from '../../store/store.ts'
import type { SessionState } from '../state/session-state.ts'
import { interrupted } from '../state/transcript.ts'
import type { Departure } from './departures.ts'
import { type RunPast, runPast } from './run-past.ts'

/** What becomes of a run that is stored as running although nothing drives it: the process that did is gone. */
export type Fate = 'resume' | 'ask' | Ending

/** How it ends when it is not taken up. */
export type Ending = 'interrupted' | 'canceled' | 'exhausted'

/** A run that a former process has left, and what is stored of it. */
export interface LeftRun {
  readonly run: Run
  readonly past: RunPast
  /** All that its session has ever asked. */
  readonly requests: readonly Request[]
}

/** Reads all that is needed, before anything is told: whoever finds damage here must have told nothing. */
export function readLeftRun(state: SessionState, run: Run): LeftRun {
  return { run, requests: state.around.store.requests(state.id, 'all'), past: runPast(state, run) }
}

/** How a server treats runs that a former process left, unless their session says otherwise. */
export interface RecoveryPolicy {
  readonly recovery: Recovery
  /** Milliseconds before the second attempt; twice as long before each further one. */
  readonly delayMs: number
}

/**
 * A stop that somebody was promised is carried out, and so is what a person has decided; a run whose reader is gone would be
 * one that nobody can see.
 */
export function fateOf(left: LeftRun, departure: Departure, { record, around }: SessionState): Fate {
  const { recovery: policy, departures } = around
  if (left.run.canceled !== undefined) return 'canceled'
  if (!isTakenUp(left.run, record, policy) || isDeclined(left)) return 'interrupted'
  if (departures.isExhausted(departure)) return 'exhausted'
  return (record.recovery ?? policy.recovery) === 'ask' ? 'ask' : 'resume'
}

/** A person has said that it shall not go on, and the process died before it had ended. */
function isDeclined({ run, requests }: LeftRun): boolean {
  const asked = requests.filter(({ content }) => content.kind === 'recovery')
  const answer = asked.findLast(({ run_id }) => run_id === run.run_id)?.answer
  return answer !== undefined && 'confirmation' in answer && answer.confirmation === 'reject'
}

/** Whether the next process goes on with a run, or may ask a person to. */
export function isTakenUp(run: Run, record: SessionRecord, { recovery }: RecoveryPolicy): boolean {
  if (run.trigger === 'stream' && run.on_disconnect !== 'continue') return false
  const wanted = record.recovery ?? recovery
  return wanted === 'resume' || (wanted === 'ask' && record.non_interactive !== true)
}

/** What it was saying becomes an item, whose id is answered. */
export function closePartial(state: SessionState, { run_id }: Run, { partial }: RunPast): string | undefined {
  return partial === undefined ? undefined : state.addMessage(interrupted(partial), run_id).id
}
