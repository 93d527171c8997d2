import { setTimeout as wait } from 'node:timers/promises'
import { type RecoveryCause, Refusal, type Run } from '../../protocol/protocol.ts'
import { RunFailure } from '../../runtime/runtime.ts'
import { Moment, timeAfter } from '../moment.ts'
import type { SessionState } from '../state/session-state.ts'
import { unlessAborted } from '../wait.ts'
import type { ActiveRun } from './active-run.ts'
import type { ResumePlan, RuntimeLease } from './run-plan.ts'

/** A run shall not go on: a person decided that, or nobody decided anything in time. */
export class NotResumed extends Error {
  readonly error: { readonly code: 'interrupted'; readonly message: string }

  constructor(reason: string | undefined) {
    super('the run was not to go on')
    this.name = 'NotResumed'
    const message = reason ? `the run shall not go on: ${reason}` : 'a person decided that the run shall not go on'
    this.error = { code: 'interrupted', message }
  }
}

/** What must be before a run goes on that its former process has left. */
interface Conditions {
  /** A person must want it. */
  readonly asks: boolean
  readonly cause: RecoveryCause
  /** It is a task: it comes with the run that waits for it, if there is one, and needs no slot that others wait for. */
  readonly isTask: boolean
  lease(): Promise<RuntimeLease>
}

/** Waits until a run may go on that its former process has left, then gets its agent. */
export async function readyAgain(state: SessionState, run: ActiveRun, conditions: Conditions): Promise<RuntimeLease> {
  const { asks, cause, isTask, lease } = conditions
  const { turnstile, trials, departures, recovery } = state.around
  const { signal, activity } = run
  if (cause !== 'handover') await pause(run, delayOf(run.state, recovery.delayMs))
  if (asks) await ask(state, run, cause)
  if (departures.isLast(run.state)) {
    activity.recover('trial')
    await trials.pass(signal)
  }
  if (!isTask) {
    activity.recover('slot')
    await takeSlot(state, run)
  }
  activity.recover('turn')
  await turnstile.pass(signal)
  activity.recover('agent')
  const ready = await leased(lease(), signal)
  if (isTask) {
    state.around.slots.takeBeyond()
    run.hasSlot = true
  }
  try {
    await goOn(state, run)
    return ready
  } catch (cause) {
    await ready.release()
    throw cause
  }
}

/** Leaves the others some time before a run that may have killed its process. */
async function pause({ activity, signal }: ActiveRun, milliseconds: number): Promise<void> {
  activity.recover('pause', timeAfter(new Moment(), milliseconds))
  await wait(milliseconds, undefined, { signal })
}

async function ask({ requests }: SessionState, { id, state, signal }: ActiveRun, cause: RecoveryCause): Promise<void> {
  const { attempt = 1, agent_name } = state
  const question = { content: { kind: 'recovery', attempt, cause } } as const
  const { confirmation, reason } = await requests.ask(question, { id, agent: agent_name, signal })
  if (confirmation === 'reject') throw new NotResumed(reason)
}

async function takeSlot({ around: { slots } }: SessionState, run: ActiveRun): Promise<void> {
  const taking = slots.take()
  try {
    await unlessAborted(taking, run.signal)
    run.hasSlot = true
  } catch (cause) {
    // It may come when nobody wants it any longer.
    void taking.then(() => slots.release())
    throw cause
  }
}

async function leased(leasing: Promise<RuntimeLease>, signal: AbortSignal): Promise<RuntimeLease> {
  try {
    return await unlessAborted(leasing, signal)
  } catch (cause) {
    // It may come when nobody wants it any longer.
    leasing.then(({ release }) => release()).catch(() => {})
    if (!(cause instanceof Refusal)) throw cause
    throw new RunFailure('agent_unavailable', cause.message, { cause })
  }
}

/** Committed before it does anything: what kills the process from now on counts. */
async function goOn({ recorder }: SessionState, run: ActiveRun): Promise<void> {
  recorder.save({ kind: 'run.put', run: run.goOn() })
  await recorder.settled()
}

function delayOf({ attempt = 1 }: Run, delayMs: number): number {
  return delayMs * 2 ** Math.max(attempt - 2, 0)
}

/** What a run carries out that was to compact the history. */
export function compactAgain({ additional_prompt }: Run): NonNullable<ResumePlan['work']> {
  return (context, runtime) => {
    if (runtime.compact !== undefined) return runtime.compact(context, { prompt: additional_prompt })
    throw new RunFailure('agent_unavailable', 'the agent cannot compact a history')
  }
}
