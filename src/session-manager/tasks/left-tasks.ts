import { Refusal, type Run } from '../../protocol/protocol.ts'
import { recallText } from '../../runtime/runtime.ts'
import type { SessionRecord, Store } from '../../store/store.ts'
import type { SessionState } from '../state/session-state.ts'
import { grow, type SessionTree, type TreeItem } from '../state/session-tree.ts'
import { lastText } from '../state/transcript.ts'
import { unlessDamaged } from '../unless-damaged.ts'
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
    const found = unlessDamaged(() => leftTask(store, body.session_id))
    if (found === undefined || found.record.task_of?.run_id !== run.run_id) continue
    const { record, own, items } = found
    const isWaited = own.trigger === 'delegation'
    // One that goes on tells its end itself.
    if (isWaited ? goesOn : own.status === 'running') continue
    tellTaskEnd(state, run.run_id, {
      task: toSession(record, items),
      agent: own.agent_name,
      isWaited,
    })
    if (found.record.task_of.recall && own.status !== 'canceled') recall(state, found, goesOn)
  }
}

interface LeftTask {
  readonly record: SessionRecord
  readonly own: Run
  readonly items: readonly TreeItem[]
}

/** All that is read of a task, at once. */
function leftTask(store: Store, id: string): LeftTask | undefined {
  const record = store.session(id)
  const own = storedTaskRun(store, id)
  if (record === undefined || own === undefined) return undefined
  return { record, own, items: treeOf(store, record).items }
}

/** A queue that is full has no place for it. */
function recall({ queue }: SessionState, { record: { id }, own, items }: LeftTask, goesOn: boolean): void {
  const view = viewOf(id, own.agent_name, own, lastText(items))
  try {
    queue.add(goesOn ? 'steer' : 'followup', [{ content: recallText(view) }])
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
