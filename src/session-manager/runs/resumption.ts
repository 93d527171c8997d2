import { setTimeout as wait } from 'node:timers/promises'
import { type RecoveryCause, Refusal, type Run } from '../../protocol/protocol.ts'
import { RunFailure } from '../../runtime/runtime.ts'
import type { SessionState } from '../state/session-state.ts'
import { unlessAborted } from '../wait.ts'
import type { ActiveRun } from './active-run.ts'
import type { ResumePlan, RuntimeLease } from './run-plan.ts'

/** A person decided that a run shall not go on. */
export class NotResumed extends Error {
  readonly error = { code: 'interrupted', message: 'the run was not to go on after the server had stopped' } as const

  constructor() {
    super('the run was not to go on')
    this.name = 'NotResumed'
  }
}

/** Waits until a run may go on that its former process has left, then gets its agent. */
export async function readyAgain(
  state: SessionState,
  run: ActiveRun,
  { asks, cause, lease }: { readonly asks: boolean; readonly cause: RecoveryCause; lease(): Promise<RuntimeLease> },
): Promise<RuntimeLease> {
  const { signal } = run
  if (cause === 'crash') await wait(delayOf(run.state, state.around.recovery.delayMs), undefined, { signal })
  if (asks) await ask(state, run, cause)
  const leasing = lease()
  try {
    return await unlessAborted(leasing, signal)
  } catch (cause) {
    // It may come when nobody wants it any longer.
    leasing.then(({ release }) => release()).catch(() => {})
    if (!(cause instanceof Refusal)) throw cause
    throw new RunFailure('agent_unavailable', cause.message, { cause })
  }
}

async function ask({ requests }: SessionState, { id, state, signal }: ActiveRun, cause: RecoveryCause): Promise<void> {
  const { attempt = 1, agent_name } = state
  const question = { content: { kind: 'recovery', attempt, cause } } as const
  const { confirmation } = await requests.ask(question, { id, agent: agent_name, signal })
  if (confirmation === 'reject') throw new NotResumed()
}

/** A run that may have killed its process leaves the others some time. */
function delayOf({ attempt = 2 }: Run, delayMs: number): number {
  return delayMs * 2 ** (attempt - 2)
}

/** What a run carries out that was to compact the history. */
export function compactAgain({ additional_prompt }: Run): NonNullable<ResumePlan['work']> {
  return (context, runtime) => {
    if (runtime.compact !== undefined) return runtime.compact(context, { prompt: additional_prompt })
    throw new RunFailure('agent_unavailable', 'the agent cannot compact a history')
  }
}
