import type { Run } from '../../protocol/protocol.ts'
import type { Gate } from '../inputs/gate.ts'
import type { LiveSession } from '../live-session.ts'
import type { SessionState } from '../state/session-state.ts'
import { parentStopped } from '../tasks/session-tasks.ts'
import { isTask } from '../tasks/task-view.ts'
import { canceledRun } from './active-run.ts'
import { endLeftRun } from './end-left-run.ts'
import { type Fate, fateOf, readLeftRun } from './left-run.ts'
import { compactAgain, readyAgain } from './resumption.ts'
import type { RunControl } from './run-control.ts'
import { takeUp } from './take-up.ts'

/** The session that the run was found in. */
interface Finder {
  readonly session: LiveSession
  readonly state: SessionState
  readonly gate: Gate
  readonly control: RunControl
}

/** Goes on with a run that a former process has left, or ends it. Answers which, in the breath in which it records that. */
export function settleLeftRun(stored: Run, { session, state, gate, control }: Finder): Fate {
  const { above } = state
  const found = readLeftRun(state, stored)
  const departure = state.around.departures.take(found)
  const task = above?.tasks.expect(session, stored)
  const left = task?.isRolledBack === true ? { ...found, run: canceledRun(stored, parentStopped) } : found
  if (task !== undefined) state.family.workFor(task.parent.state, task.parent.rootRunId, task.parent.toldAs)
  const isLost = task === undefined && isTask(left.run) && left.run.canceled === undefined
  const fate = isLost ? 'interrupted' : fateOf(left, departure, state)
  if (fate !== 'resume' && fate !== 'ask') {
    const ended = endLeftRun(state, left, fate)
    // Who waits for it finds it ended.
    if (task?.lease === undefined) task?.onEnd(ended)
    state.family.workAlone()
    return fate
  }
  const asks = fate === 'ask' && task?.lease === undefined
  const lease = async () => (await task?.lease)?.() ?? gate.leaseCurrent()
  const run = control.resume(takeUp(state, left, { ...departure, asks }), {
    getReady: (again) => readyAgain(state, again, { asks, cause: departure.cause, isTask: task !== undefined, lease }),
    work: left.run.trigger === 'compaction' ? compactAgain(left.run) : undefined,
    onEnd: task?.onEnd,
  })
  task?.begun(run)
  return fate
}
