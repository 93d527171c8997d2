import { Refusal, type Run } from '../../protocol/protocol.ts'
import { recallText } from '../../runtime/runtime.ts'
import type { SessionRecord, Store } from '../../store/store.ts'
import type { SessionState } from '../state/session-state.ts'
import { grow, type SessionTree } from '../state/session-tree.ts'
import { lastText } from '../state/transcript.ts'
import { toSession } from '../views/session-view.ts'
import { storedTaskRun, tellTaskEnd, viewOf } from './task-view.ts'

/**
 * Tells the ends of tasks that the log of a left run lacks: sessions commit one by one, so a task may have ended although this
 * session knows nothing of it. `goesOn`: the run comes to the tasks that it waits for again, and tells their ends then.
 */
export function tellLeftTasks(
  state: SessionState,
  run: Run,
  { completed, goesOn }: { readonly completed: ReadonlySet<string>; readonly goesOn: boolean },
): void {
  const { store } = state.around
  const begun = state.transcript.items.slice(run.first_position ?? state.transcript.items.length)
  for (const { body } of begun) {
    if (body.kind !== 'sub_session' || completed.has(body.session_id)) continue
    const record = store.session(body.session_id)
    const own = storedTaskRun(store, body.session_id)
    if (record === undefined || own === undefined || record.task_of?.run_id !== run.run_id) continue
    const isWaited = own.trigger === 'delegation'
    // One that goes on tells its end itself.
    if (isWaited ? goesOn : own.status === 'running') continue
    tellTaskEnd(state, run.run_id, {
      task: toSession(record, treeOf(store, record).items),
      agent: own.agent_name,
      isWaited,
    })
    if (record.task_of.recall && own.status !== 'canceled') recall(state, record, own, goesOn)
  }
}

/** A queue that is full has no place for it. */
function recall({ queue, around }: SessionState, { id }: SessionRecord, own: Run, goesOn: boolean): void {
  const text = lastText(around.store.items(id, { last: 50 }))
  try {
    queue.add(goesOn ? 'steer' : 'followup', [{ content: recallText(viewOf(id, own.agent_name, own, text)) }])
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal
  }
}

/** A session that is not loaded, with everything below it. */
function treeOf(store: Store, record: SessionRecord): SessionTree {
  const find = (id: string): SessionTree | undefined => {
    const below = store.session(id)
    return below && treeOf(store, below)
  }
  return { record, items: grow(store.items(record.id, { from: 0 }), find), partial: undefined }
}
