import type { Run, Session } from '../../protocol/protocol.ts'
import type { Task } from '../../runtime/runtime.ts'
import type { Store } from '../../store/store.ts'
import type { SessionState } from '../state/session-state.ts'
import { unlessDamaged } from '../unless-damaged.ts'

/** Whether a run carries out a task. */
export function isTask({ trigger }: Run): boolean {
  return trigger === 'background' || trigger === 'delegation'
}

/** The run that has carried out the task of a session, as it is stored: the first one; none where that cannot be read. */
export function storedTaskRun(store: Store, id: string): Run | undefined {
  return unlessDamaged(() => store.runs(id, { limit: 100 }))?.entries.findLast(isTask)
}

/** How a task stands, as its parent sees it. */
export function viewOf(id: string, agent: string, { status, reason, error }: Run, output: string): Task {
  const spent = reason === 'budget_exceeded' ? 'what may be spent on it is used up' : undefined
  return { id, agent, status, output, error: error?.message ?? spent }
}

/** Tells in the log of a session that a task has ended which a run of it has begun, and perhaps waited for. */
export function tellTaskEnd(
  state: SessionState,
  runId: string,
  { task, agent, isWaited }: { readonly task: Session; readonly agent: string; readonly isWaited: boolean },
): void {
  const body = {
    type: 'sub_session_completed',
    agent_name: agent,
    parent_session_id: state.id,
    sub_session: task,
  } as const
  state.recorder.event(body, runId)
  if (isWaited) tellSwitch(state, runId, { switching: false, from_agent: agent, to_agent: agentOf(state) })
}

/** Tells that the agent of a task takes over, or gives back. */
export function tellSwitch(
  { recorder }: SessionState,
  runId: string,
  change: { readonly switching: boolean; readonly from_agent: string; readonly to_agent: string },
): void {
  recorder.event({ type: 'agent_switching', agent_name: change.from_agent, ...change }, runId)
}

/** The agent that answers in a session. */
export function agentOf({ record }: SessionState): string {
  return record.agent?.name ?? ''
}
