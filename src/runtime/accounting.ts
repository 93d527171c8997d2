import type { LanguageModel, ModelFinish } from '../models/models.ts'
import { spendingOf } from '../protocol/protocol.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import type { RuntimeEvent } from './runtime.ts'

type Spender = Pick<AgentAtWork, 'agent' | 'shared'>

/** Counts a model call against the budgets of a run. */
export function spend(
  { agent, shared }: Spender,
  model: LanguageModel,
  { usage, cost }: Pick<ModelFinish, 'usage' | 'cost'>,
): void {
  shared.budgets.spend(agent, spendingOf(usage, cost), model.price === undefined)
}

/** Tells when nothing more may be spent. Returns whether that is so. */
export async function* stopsForBudget({ agent, shared }: Spender): AsyncGenerator<RuntimeEvent, boolean, void> {
  const exceeded = shared.budgets.exceeded(agent)
  if (exceeded === undefined) return false
  yield { type: 'budget_exceeded', agent_name: agent.Name, ...exceeded }
  return true
}

/** Counts the work since the last time. */
export async function* accountTime(work: Spender): AsyncGenerator<RuntimeEvent, void, void> {
  yield { type: 'time_spent', seconds: lap(work) }
}

/** Counts the time that an answer or its tools took, and tells how the budgets stand. What is told last ends what belongs together. */
export async function* accountTurn(work: Spender): AsyncGenerator<RuntimeEvent, void, void> {
  const { agent, shared } = work
  const seconds = lap(work)
  const budgets = shared.budgets.usage(agent, seconds)
  if (budgets.length > 0) yield { type: 'budget_usage', agent_name: agent.Name, budgets: [...budgets] }
  yield { type: 'time_spent', seconds }
}

function lap({ agent, shared }: Spender): number {
  const elapsed_seconds = shared.stopwatch.lap()
  shared.budgets.spend(agent, { cost: 0, tokens: 0, elapsed_seconds })
  return elapsed_seconds
}
