import type { LiveSession } from '../live-session.ts'

/** What became of the runs that a former process has left: how many of each. */
export interface TakenUpRuns {
  /** They go on. */
  readonly resumed: number
  /** A person is asked whether they shall go on. */
  readonly asked: number
  /** They were bound to a connection, or were not to go on. */
  readonly interrupted: number
  /** Somebody had stopped them before. */
  readonly canceled: number
  /** They were begun as often as they may be: the ids of their sessions. */
  readonly exhausted: readonly string[]
}

/** Counts by what became of the run that each session was found with. */
export function takenUpRuns(sessions: readonly LiveSession[]): TakenUpRuns {
  const count = (fate: LiveSession['found']): number => sessions.filter(({ found }) => found === fate).length
  return {
    resumed: count('resume'),
    asked: count('ask'),
    interrupted: count('interrupted'),
    canceled: count('canceled'),
    exhausted: sessions.flatMap(({ found, id }) => (found === 'exhausted' ? id : [])),
  }
}
