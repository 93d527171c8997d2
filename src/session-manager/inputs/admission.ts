import type { ErrorCode, IfBusy } from '../../protocol/protocol.ts'
import type { Status } from '../state/session-status.ts'

/** The states of a session, and `starting`: the queue is about to start a run. A run that is recovered is `running`. */
export type Busyness = Status | 'starting'

/**
 * `start`: a run begins. `queue`: it waits as a follow-up. `steer`: the run that goes on reads it. `interrupt`: that run is stopped,
 * and another begins when it has left. `rollback`: the same, and what the stopped run did leaves the conversation.
 */
export type Admission = 'start' | 'queue' | 'steer' | 'interrupt' | 'rollback' | { readonly refuse: ErrorCode }

const busy = { refuse: 'session_busy' } as const
const deleting = { refuse: 'unknown_session' } as const

/** What a request to run does, by what it wants of a session that is busy. */
export const admissions: Readonly<Record<IfBusy, Readonly<Record<Busyness, Admission>>>> = {
  reject: { idle: 'start', starting: 'start', running: busy, stopping: busy, deleting },
  enqueue: { idle: 'start', starting: 'queue', running: 'queue', stopping: 'queue', deleting },
  steer: { idle: 'start', starting: 'queue', running: 'steer', stopping: 'queue', deleting },
  interrupt: { idle: 'start', starting: 'start', running: 'interrupt', stopping: 'interrupt', deleting },
  rollback: { idle: 'start', starting: 'start', running: 'rollback', stopping: 'rollback', deleting },
}
