import type { ErrorCode } from '../../protocol/protocol.ts'

/** Waiting for a person is not a status: it is a running run with open requests. */
export type Status = 'idle' | 'running' | 'stopping' | 'deleting'

export type Action = 'run' | 'steer' | 'followup' | 'edit' | 'configure' | 'answer' | 'cancel' | 'delete' | 'read'

/** `start`: begin a run. `queue`: keep it for a run. `do`: carry it out now. `nothing`: it is so already. */
export type Outcome = 'start' | 'queue' | 'do' | 'nothing' | { readonly refuse: ErrorCode }

const gone = { refuse: 'unknown_session' } as const
const busy = { refuse: 'session_busy' } as const

/** What every action does in every state. */
export const outcomes: Readonly<Record<Status, Readonly<Record<Action, Outcome>>>> = {
  idle: {
    run: 'start',
    steer: 'queue',
    followup: 'start',
    edit: 'do',
    configure: 'do',
    answer: 'do',
    cancel: 'nothing',
    delete: 'do',
    read: 'do',
  },
  running: {
    run: busy,
    steer: 'queue',
    followup: 'queue',
    edit: busy,
    configure: 'do',
    answer: 'do',
    cancel: 'do',
    delete: 'do',
    read: 'do',
  },
  stopping: {
    run: busy,
    steer: 'queue',
    followup: 'queue',
    edit: busy,
    configure: 'do',
    answer: 'do',
    cancel: 'nothing',
    delete: 'do',
    read: 'do',
  },
  deleting: {
    run: gone,
    steer: gone,
    followup: gone,
    edit: gone,
    configure: gone,
    answer: gone,
    cancel: gone,
    delete: gone,
    read: gone,
  },
}
