import type { Run } from '../../protocol/protocol.ts'
import { unknownEffect } from '../../runtime/runtime.ts'
import { applyRules } from '../inputs/queue-rules.ts'
import { settled } from '../requests/requests.ts'
import type { SessionState } from '../state/session-state.ts'
import { tellLeftTasks } from '../tasks/left-tasks.ts'
import { endedRun } from './active-run.ts'
import { closePartial, type Ending, type LeftRun } from './left-run.ts'
import { rollBack, toolsRun } from './rollback.ts'
import { tellBelow } from './tell-below.ts'

/**
 * Ends a run that is not taken up. What it had said becomes an item, its requests expire, and readers are told; also of
 * the tasks that worked for it, which end in their own logs too. Its queue is held, but for a stop, which says itself what waits.
 * A run that was to be rolled back is.
 */
export function endLeftRun(state: SessionState, { run, past, requests }: LeftRun, ending: Ending): Run {
  const { recorder } = state
  const { run_id, agent_name } = run
  state.tally.recount()
  for (const open of requests.filter(({ state }) => state === 'open')) {
    const request = settled(open, 'expired', 'restart')
    recorder.save({ kind: 'request.put', request })
    recorder.event({ type: 'request_settled', request, decider: 'restart' }, run_id)
  }
  tellBelow(state, past.below)
  tellLeftTasks(state, run, { completed: past.completed, goesOn: false })
  closePartial(state, run, past)
  past.openCalls.close(state, run_id, unknownEffect)
  state.skipCompaction(run_id)
  const { reason, status, error } = endings[ending]
  if (error !== undefined) {
    const { message, code } = error
    state.add({ kind: 'error', error: { message, code, agent_name, created_at: new Date().toISOString() } })
    recorder.event({ type: 'error', error: message, code, agent_name, ...rootOf(run) }, run_id)
  }
  if (run.rolls_back === true) rollBack(state, run, toolsRun(state, run))
  const last_seq = recorder.event({ type: 'stream_stopped', reason, agent_name, ...rootOf(run) }, run_id)
  const ended = endedRun(run, { status, reason, last_seq, ...(error && { error }) })
  recorder.save({ kind: 'run.put', run: ended })
  // A stop has held what was there when it was asked for.
  if (ending !== 'canceled') applyRules(state.queue, 'interrupted')
  return ended
}

const endings = {
  interrupted: {
    status: 'interrupted',
    reason: 'interrupted',
    error: { code: 'interrupted', message: 'the server stopped before the run had ended' },
  },
  exhausted: {
    status: 'failed',
    reason: 'error',
    error: {
      code: 'attempts_exhausted',
      message: 'the server stopped each time while the run went on, as often as that may be tried',
    },
  },
  canceled: { status: 'canceled', reason: 'canceled', error: undefined },
} as const

function rootOf({ root_run_id }: Run): { readonly root_run_id?: string } {
  return root_run_id === undefined ? {} : { root_run_id }
}
