import { type ForeignEvent, type Recovery, Refusal, Request, type Run } from '../../protocol/protocol.ts'
import { type Resumption, unknownEffect } from '../../runtime/runtime.ts'
import type { SessionRecord } from '../../store/store.ts'
import { applyRules } from '../inputs/queue-rules.ts'
import { settled } from '../requests/requests.ts'
import type { SessionState } from '../state/session-state.ts'
import { interrupted } from '../state/transcript.ts'
import { tellLeftTasks } from '../tasks/left-tasks.ts'
import { unlessDamaged } from '../unless-damaged.ts'
import { endedRun } from './active-run.ts'
import type { Departure } from './departures.ts'
import { EndsBelow } from './ends-below.ts'
import type { OpenCalls } from './open-calls.ts'
import { rollBack, toolsRun } from './rollback.ts'
import { type RunPast, runPast } from './run-past.ts'

/** What becomes of a run that is stored as running although nothing drives it: the process that did is gone. */
export type Fate = 'resume' | 'ask' | Ending

type Around = Pick<SessionState['around'], 'store' | 'recovery' | 'departures'>

type Ending = 'interrupted' | 'canceled' | 'exhausted'

/** A run that a former process has left, and what is stored of it. */
export interface LeftRun {
  readonly run: Run
  readonly past: RunPast
  /** All that its session has ever asked. */
  readonly requests: readonly Request[]
}

/** Reads all that is needed, before anything is told: whoever finds damage here must have told nothing. */
export function readLeftRun(state: SessionState, run: Run): LeftRun {
  return { run, requests: state.around.store.requests(state.id, 'all'), past: runPast(state, run) }
}

/** Open, as they were when the process that asked was gone. */
export function isOpen({ state }: Request): boolean {
  return state === 'open'
}

/** How a server treats runs that a former process left, unless their session says otherwise. */
export interface RecoveryPolicy {
  readonly recovery: Recovery
  /** How often a run is begun at most: one that kills its process is not begun for ever. */
  readonly attempts: number
  /** Milliseconds before the second attempt; twice as long before each further one. */
  readonly delayMs: number
}

/**
 * A stop that somebody was promised is carried out, and so is what a person has decided; a run whose reader is gone would be
 * one that nobody can see.
 */
export function fateOf(run: Run, departure: Departure, record: SessionRecord, around: Around): Fate {
  const { store, recovery: policy, departures } = around
  if (run.canceled !== undefined) return 'canceled'
  if (!isTakenUp(run, record, policy) || isDeclined(run, store)) return 'interrupted'
  if (departures.isExhausted(departure)) return 'exhausted'
  return (record.recovery ?? policy.recovery) === 'ask' ? 'ask' : 'resume'
}

/** A person has said that it shall not go on, and the process died before it had ended. */
function isDeclined({ run_id, session_id }: Run, store: Around['store']): boolean {
  const asked = store.requests(session_id, 'all').filter(({ content }) => content.kind === 'recovery')
  const answer = asked.findLast((request) => request.run_id === run_id)?.answer
  return answer !== undefined && 'confirmation' in answer && answer.confirmation === 'reject'
}

/** Whether the next process goes on with a run, or may ask a person to. */
export function isTakenUp(run: Run, record: SessionRecord, { recovery }: RecoveryPolicy): boolean {
  if (run.trigger === 'stream' && run.on_disconnect !== 'continue') return false
  const wanted = record.recovery ?? recovery
  return wanted === 'resume' || (wanted === 'ask' && record.non_interactive !== true)
}

/**
 * Ends a run that is not taken up. What it had said becomes an item, its requests expire, and readers are told; also of
 * the tasks that worked for it, which end in their own logs too. Its queue is held, but for a stop, which says itself what waits.
 * A run that was to be rolled back is.
 */
export function endLeftRun(state: SessionState, { run, past, requests }: LeftRun, ending: Ending): Run {
  const { recorder } = state
  const { run_id, agent_name } = run
  state.tally.recount()
  for (const open of requests.filter(isOpen)) {
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

function closePartial(state: SessionState, { run_id }: Run, { partial }: RunPast): string | undefined {
  return partial === undefined ? undefined : state.addMessage(interrupted(partial), run_id).id
}

/** Tells what became of tasks that do not tell it themselves. A store that cannot be read keeps nothing from being told. */
export function tellBelow(state: SessionState, events: readonly ForeignEvent[]): void {
  for (const event of events) {
    let end: Partial<ForeignEvent> = {}
    try {
      end = storedEnd(state, event)
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal
    }
    state.recorder.foreignEvent({ ...event, ...end, timestamp: new Date().toISOString() })
  }
}

/** How it has ended, where the session below has committed that and this one has not. */
function storedEnd(
  { around }: SessionState,
  { type, session_id, run_id, request }: ForeignEvent,
): Partial<ForeignEvent> {
  if (type === 'stream_stopped') {
    const reason = unlessDamaged(() => around.store.run(String(session_id), String(run_id)))?.reason
    return reason === undefined ? {} : { reason }
  }
  const { id } = Request.parse(request)
  const stored = unlessDamaged(() => around.store.request(String(session_id), id))
  return stored === undefined || stored.state === 'open' ? {} : { request: stored, decider: stored.decider }
}

/** A task that is stored as running is taken up too, or tells its end itself. */
function goesOn({ around }: SessionState, { session_id, run_id }: ForeignEvent): boolean {
  return unlessDamaged(() => around.store.run(String(session_id), String(run_id)))?.status === 'running'
}

function rootOf({ root_run_id }: Run): { readonly root_run_id?: string } {
  return root_run_id === undefined ? {} : { root_run_id }
}
