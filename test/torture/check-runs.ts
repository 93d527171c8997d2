import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { Run } from '../../src/protocol/protocol.ts'
import type { Behaviour } from './behaviour.ts'
import type { Circumstances, Fail } from './circumstances.ts'
import type { Look } from './look.ts'
import { type Replay, RolledBack } from './replay.ts'
import type { SessionDiary } from './session-diary.ts'

const saying = new Set(['user_message', 'message_added'])
const Called = z.object({ id: z.string() })

/** Every run that started has one beginning and at most one end, which is the one that was told and that it may have. */
export function checkRuns(session: SessionDiary, seen: Look, { behaviour, isLast }: Circumstances, fail: Fail): void {
  const { runs, replay } = seen
  const ids = runs.map(({ run_id }) => run_id)
  if (!isDeepStrictEqual(ids, replay.runIds)) fail(`the runs are ${ids}, and the log tells of ${replay.runIds}`)
  for (const run of runs) {
    checkRun(session, seen, run, behaviour, fail)
    if (isLast && run.status === 'running') fail(`run ${run.run_id} never ends`)
  }
  if (runs.slice(0, -1).some(({ status }) => status === 'running')) fail('two runs go on')
  for (const [runId, firstSeq] of session.started) {
    const run = runs.find(({ run_id }) => run_id === runId)
    if (run?.first_seq !== firstSeq)
      fail(`run ${runId} was told to begin at ${firstSeq} and begins at ${run?.first_seq}`)
  }
  for (const { outcome, status, run } of session.stops) {
    if (outcome !== 'accepted' || run === undefined) continue
    const now = runs.find(({ run_id }) => run_id === run.run_id)
    if (status === 200 && !isDeepStrictEqual(now, run)) {
      fail(`run ${run.run_id} was told to have ended as ${JSON.stringify(run)} and is ${JSON.stringify(now)}`)
    }
    if (status === 202 && now?.status === 'running') fail(`run ${run.run_id} goes on, although its stop was accepted`)
  }
}

function checkRun(session: SessionDiary, { replay, whole }: Look, run: Run, behaviour: Behaviour, fail: Fail): void {
  const { run_id, status, reason, first_seq, last_seq } = run
  const events = replay.eventsOf(run_id)
  const begins = replay.count(run_id, 'stream_started')
  const ends = replay.count(run_id, 'stream_stopped')
  if (begins !== 1) fail(`run ${run_id} has ${begins} beginnings`)
  if (events[0]?.seq !== first_seq) fail(`run ${run_id} begins at ${first_seq}, and in the log at ${events[0]?.seq}`)
  if (isGivenUp(run, replay) && reason !== 'interrupted' && reason !== 'canceled')
    fail(`run ${run_id} was not to go on, and is ${JSON.stringify(run)}`)
  if (status === 'running') {
    if (ends !== 0) fail(`run ${run_id} goes on, but its end was told`)
    return
  }
  if (ends !== 1) fail(`run ${run_id} has ${ends} ends`)
  const last = events.at(-1)
  if (last?.type !== 'stream_stopped' || last.seq !== last_seq || last.reason !== reason) {
    fail(`run ${run_id} ended with ${reason} at ${last_seq}, and in the log with ${JSON.stringify(last)}`)
  }
  checkRollback(session, whole, run, fail)
  const excuse = excuseFor(session, run, replay, behaviour)
  if (excuse !== undefined) fail(`run ${run_id} ended as ${reason}, but ${excuse}`)
}

/** What has left the conversation is what the run has added to it, and it says which tools it had begun. */
function checkRollback(session: SessionDiary, whole: Replay, run: Run, fail: Fail): void {
  const { run_id } = run
  const events = whole.events.filter((event) => event.run_id === run_id || event.root_run_id === run_id)
  const told = events.filter(({ type }) => type === 'run_rolled_back').map((event) => RolledBack.parse(event))
  const [rollback] = told
  if (told.length !== (run.rolled_back === true ? 1 : 0))
    fail(`run ${run.run_id} tells of ${told.length} rollbacks, and is ${JSON.stringify(run)}`)
  if (rollback === undefined) return
  if (!session.mayRollBack || run.reason !== 'canceled')
    fail(`run ${run.run_id} was rolled back, which nobody asked for`)
  const said = events.flatMap(({ type, message_id = '' }) => (saying.has(type) ? [message_id] : []))
  if (!isDeepStrictEqual(rollback.message_ids.toSorted(), said.toSorted()))
    fail(`run ${run.run_id} has said ${said}, and of ${rollback.message_ids} was told that they are gone`)
  const begun = events.flatMap(({ type, tool_call }) => (type === 'tool_call' ? [Called.parse(tool_call).id] : []))
  const named = rollback.tools_run.map(({ tool_call_id }) => tool_call_id)
  if (begun.some((id) => !named.includes(id))) fail(`run ${run.run_id} has begun ${begun}, and ${named} were named`)
}

/** Why a run cannot have ended as it did; `undefined` when it can. */
function excuseFor(session: SessionDiary, run: Run, replay: Replay, behaviour: Behaviour): string | undefined {
  const { reason, agent, trigger, on_disconnect, error } = run
  const isBound = trigger === 'stream' && on_disconnect !== 'continue'
  if (reason === 'canceled') {
    const asked = session.stops.length > 0 || isBound
    return asked ? undefined : 'nobody asked for a stop'
  }
  if (reason === 'error' && agent !== 'faulty') {
    const tired =
      error?.code === 'attempts_exhausted' && replay.count(run.run_id, 'run_recovered') >= behaviour.attempts - 1
    return tired ? undefined : `its agent does not fail: ${JSON.stringify(error)}`
  }
  if (reason === 'interrupted' && behaviour.resumes && !isBound && !isGivenUp(run, replay))
    return 'it belongs to no connection, and nobody has given it up'
  return undefined
}

/** A person has said that a run shall not go on. */
function isGivenUp({ run_id }: Run, { asked }: Replay): boolean {
  return [...asked.values()].some(({ opened, settled: [end] }) => {
    const isRejected = end?.answer !== undefined && 'confirmation' in end.answer && end.answer.confirmation === 'reject'
    return opened.run_id === run_id && opened.content.kind === 'recovery' && isRejected
  })
}
