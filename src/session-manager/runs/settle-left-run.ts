import type { Run } from '../../protocol/protocol.ts'
import type { Gate } from '../inputs/gate.ts'
import type { LiveSession } from '../live-session.ts'
import type { SessionState } from '../state/session-state.ts'
import { parentStopped } from '../tasks/session-tasks.ts'
import { isTask } from '../tasks/task-view.ts'
import { canceledRun } from './active-run.ts'
import { endLeftRun, type Fate, fateOf, isOpen, readLeftRun, takeUp } from './left-run.ts'
import { compactAgain, readyAgain } from './resumption.ts'
import type { RunControl } from './run-control.ts'

/** The session that the run was found in. */
interface Finder {
  readonly session: LiveSession
  readonly state: SessionState
  readonly gate: Gate
  readonly control: RunControl
}

/** Goes on with a run that a former process has left, or ends it. Answers which, in the breath in which it records that. */
export function settleLeftRun(stored: Run, { session, state, gate, control }: Finder): Fate {
  const { above, around, record } = state
  const found = readLeftRun(state, stored)
  const open = found.requests.filter((request) => isOpen(request) && request.run_id === stored.run_id)
  const departure = around.departures.take(stored, found.past, open)
  const task = above?.tasks.expect(session, stored)
  const left = task?.isRolledBack === true ? canceledRun(stored, parentStopped) : stored
  if (task !== undefined) state.family.workFor(task.parent.state, task.parent.rootRunId, task.parent.toldAs)
  const isLost = task === undefined && isTask(left) && left.canceled === undefined
  const fate = isLost ? 'interrupted' : fateOf(left, departure, record, around)
  if (fate !== 'resume' && fate !== 'ask') {
    const ended = endLeftRun(state, { ...found, run: left }, fate)
    // Who waits for it finds it ended.
    if (task?.lease === undefined) task?.onEnd(ended)
    state.family.workAlone()
    return fate
  }
  const asks = fate === 'ask' && task?.lease === undefined
  const lease = async () => (await task?.lease)?.() ?? gate.leaseCurrent()
  const run = control.resume(takeUp(state, { ...found, run: left }, { ...departure, asks }), {
    getReady: (again) => readyAgain(state, again, { asks, cause: departure.cause, isTask: task !== undefined, lease }),
    work: left.trigger === 'compaction' ? compactAgain(left) : undefined,
    onEnd: task?.onEnd,
  })
  task?.begun(run)
  return fate
}
