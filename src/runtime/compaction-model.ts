import type { Agent } from '../agent-file/agent-file.ts'
import type { Compaction } from './agent-at-work.ts'
import type { ModelChain } from './model-chain.ts'
import { findModel, modelOf } from './model-resolution.ts'
import type { Team } from './team.ts'

const usualThreshold = 0.9

/**
 * How the history of an agent is compacted, whose model is `ref`, or its own. The model that makes summaries is what the
 * agent says, or its model, or that model's provider; one that cannot be opened is no reason to make none. Of two windows the
 * smaller counts; one that nobody knows is never full.
 */
export async function compactionOf(
  { file, models }: Pick<Team, 'file' | 'models'>,
  agent: Agent,
  { current }: Pick<ModelChain, 'current'>,
  ref: string = modelOf(agent),
): Promise<Compaction> {
  const resolved = findModel(file, ref, models)
  const named = agent.compaction_model ?? resolved?.compactionModel
  const found = named === undefined ? undefined : findModel(file, named, models)
  const model = found === undefined ? current : await models.open(found.definition).catch(() => current)
  const smaller = Math.min(current.contextLimit ?? Infinity, model.contextLimit ?? Infinity)
  const window = smaller === Infinity ? undefined : smaller
  const off = { model, window, share: undefined, threshold: undefined }
  if (agent.session_compaction === false || window === undefined) return off
  const share = agent.compaction_threshold ?? resolved?.compactionThreshold ?? usualThreshold
  return { model, window, share, threshold: window * share }
}
