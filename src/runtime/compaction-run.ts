import type { Agent } from '../agent-file/agent-file.ts'
import type { StopReason } from '../protocol/protocol.ts'
import { accountTime, stopsForBudget } from './accounting.ts'
import { compact } from './compaction.ts'
import { compactionOf } from './compaction-model.ts'
import type { CompactionRequest, RunContext, RuntimeEvent } from './runtime.ts'
import type { Team } from './team.ts'
import { newWork } from './team-run.ts'

/** A run that does nothing but compact the history, unless nothing more may be spent. */
export async function* compactionRun(
  team: Team,
  agent: Agent,
  context: RunContext,
  request: CompactionRequest,
): AsyncGenerator<RuntimeEvent, StopReason, void> {
  const ref = context.modelOf(agent.Name)
  const chain = await team.modelsOf(agent).chain(ref)
  const compaction = await compactionOf({ file: team.file, models: team.opening(agent) }, agent, chain, ref)
  const work = { agent, chain, compaction, context, shared: newWork(team, context), signal: context.signal }
  if (yield* stopsForBudget(work)) return 'budget_exceeded'
  try {
    yield* compact(work, request)
  } catch (error) {
    yield* accountTime(work)
    throw error
  }
  yield* accountTime(work)
  return 'normal'
}
