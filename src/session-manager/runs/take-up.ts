import type { ForeignEvent, Request, Run } from '../../protocol/protocol.ts'
import type { Resumption } from '../../runtime/runtime.ts'
import type { SessionState } from '../state/session-state.ts'
import { tellLeftTasks } from '../tasks/left-tasks.ts'
import { unlessDamaged } from '../unless-damaged.ts'
import type { Departure } from './departures.ts'
import { EndsBelow } from './ends-below.ts'
import { closePartial, type LeftRun } from './left-run.ts'
import type { OpenCalls } from './open-calls.ts'
import { tellBelow } from './tell-below.ts'

/**
 * Records that a run goes on in this process, in a new attempt: the answer that it was writing becomes an item, and a
 * message of its own follows. Answers the run as it stands now, and what it had done. `asks`: a person decides whether it does.
 */
export function takeUp(
  state: SessionState,
  { run, past, requests }: LeftRun,
  { cause, attempt, asks }: Departure & { readonly asks: boolean },
): TakenUp {
  const { recorder, log } = state
  const { run_id, agent_name } = run
  state.tally.recount()
  const to_seq = log.head
  const endsBelow = new EndsBelow(past.below)
  tellBelow(
    state,
    endsBelow.take((event) => !goesOn(state, event)),
  )
  const message_id = closePartial(state, run, past)
  // Until it has gone on here, the next process has it from the one before.
  const now = { ...run, attempt, handed_over: true }
  recorder.event(
    {
      type: 'run_recovered',
      agent_name,
      attempt,
      cause,
      from_seq: past.fromSeq,
      to_seq,
      ...(message_id === undefined ? {} : { message_id }),
    },
    run_id,
  )
  recorder.save({ kind: 'run.put', run: now })
  state.requests.restore(
    run_id,
    requests.filter((request) => !past.used.has(request.id) && !isAboutAnother(request)),
  )
  tellLeftTasks(state, now, { completed: past.completed, goesOn: true })
  if (!asks) state.requests.expireOrphans('asker_gone', ({ content }) => content.kind === 'recovery')
  return { run: now, past, openCalls: past.openCalls, endsBelow }
}

/** A person has let the run go on, which was for that time. One who was asked and has not answered need not be asked anew. */
function isAboutAnother({ content, state }: Request): boolean {
  return content.kind === 'recovery' && state !== 'open'
}

/** A run as it goes on, and what it had done. */
export interface TakenUp {
  readonly run: Run
  readonly past: Resumption
  readonly openCalls: OpenCalls
  /** Of tasks that go on. */
  readonly endsBelow: EndsBelow
}

/** A task that is stored as running is taken up too, or tells its end itself. */
function goesOn({ around }: SessionState, { session_id, run_id }: ForeignEvent): boolean {
  return unlessDamaged(() => around.store.run(String(session_id), String(run_id)))?.status === 'running'
}
