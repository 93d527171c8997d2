import type { HeldBy, InputKind, StopReason } from '../../protocol/protocol.ts'
import type { InputQueue } from './input-queue.ts'

/** What can happen to a session in which messages wait. */
export type QueueCause =
  | 'end'
  | 'stop'
  | 'failure'
  | 'budget'
  | 'unopened'
  | 'interrupt'
  | 'rollback'
  | 'resumed'
  | 'interrupted'
  | 'delete'

/**
 * `run`: the queue starts a run. `wait`: it stays as it is, for the run that goes on or comes next. `hold`: it is held until the next run or
 * follow-up. `gone`: it is deleted.
 */
export type QueueFate = 'run' | 'wait' | 'hold' | 'gone'

/** What becomes of steering, of follow-ups, and of what a client holds. */
export const queueRules: Readonly<Record<QueueCause, Readonly<Record<InputKind | 'held', QueueFate>>>> = {
  end: { steer: 'run', followup: 'run', held: 'wait' },
  stop: { steer: 'hold', followup: 'hold', held: 'wait' },
  failure: { steer: 'run', followup: 'hold', held: 'wait' },
  budget: { steer: 'hold', followup: 'hold', held: 'wait' },
  unopened: { steer: 'hold', followup: 'hold', held: 'wait' },
  interrupt: { steer: 'wait', followup: 'wait', held: 'wait' },
  rollback: { steer: 'wait', followup: 'wait', held: 'wait' },
  resumed: { steer: 'wait', followup: 'wait', held: 'wait' },
  interrupted: { steer: 'hold', followup: 'hold', held: 'wait' },
  delete: { steer: 'gone', followup: 'gone', held: 'gone' },
}

const holders: Readonly<Partial<Record<QueueCause, HeldBy>>> = {
  stop: 'stop',
  failure: 'failure',
  budget: 'budget',
  unopened: 'failure',
  interrupted: 'restart',
}

/** Holds what the rules say; whether something is left that the queue shall start a run with. */
export function applyRules(queue: InputQueue, cause: QueueCause): boolean {
  const by = holders[cause]
  let starts = false
  for (const kind of ['steer', 'followup'] as const) {
    const fate = queueRules[cause][kind]
    if (fate === 'hold' && by !== undefined) queue.hold(kind, by)
    if (fate === 'run' && queue.hasReady(kind)) starts = true
  }
  return starts
}

/** What the end of a run is to those who wait. A stop has held what was there when it was asked for: the rest came after it. */
export function causeOf(reason: StopReason): QueueCause {
  if (reason === 'normal' || reason === 'canceled') return 'end'
  if (reason === 'interrupted') return 'interrupted'
  return reason === 'budget_exceeded' ? 'budget' : 'failure'
}
