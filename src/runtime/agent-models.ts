import type { Agent, AgentFile } from '../agent-file/agent-file.ts'
import type { LanguageModel, Models } from '../models/models.ts'
import { Refusal } from '../protocol/protocol.ts'
import type { Compaction } from './agent-at-work.ts'
import { findModel, modelOf, type ResolvedModel, resolveModel } from './model-resolution.ts'
import { RunFailure } from './run-failure.ts'
import type { RunContext } from './runtime.ts'

const usualThreshold = 0.9

/** The models that an agent works with. */
export interface AgentModels {
  readonly model: LanguageModel
  readonly titleModel: LanguageModel
  readonly compaction: Compaction
}

/** The reference was good when the session took it; the file may have changed since. */
export async function openAgentModels(
  { file, models }: { readonly file: AgentFile; readonly models: Models },
  agent: Agent,
  context: RunContext,
): Promise<AgentModels> {
  const ref = context.modelOf(agent.Name) ?? modelOf(agent)
  const resolved = resolvedForRun(file, ref)
  const model = await models.open(resolved.definition).catch(failed)
  const other = async (reference: string | undefined): Promise<LanguageModel> => {
    // A model that makes no titles or summaries is no reason not to answer.
    const definition = reference === undefined ? undefined : findModel(file, reference)?.definition
    return definition === undefined ? model : await models.open(definition).catch(() => model)
  }
  return {
    model,
    titleModel: context.untitled ? await other(resolved.titleModel) : model,
    compaction: compactionOf(agent, model, await other(agent.compaction_model)),
  }
}

/** With a smaller model for summaries, the smaller window counts. A window that nobody knows is never full. */
function compactionOf(agent: Agent, model: LanguageModel, compacting: LanguageModel): Compaction {
  const window = Math.min(model.contextLimit ?? Infinity, compacting.contextLimit ?? Infinity)
  const isOn = agent.session_compaction !== false && window !== Infinity
  return { model: compacting, threshold: isOn ? window * (agent.compaction_threshold ?? usualThreshold) : undefined }
}

function resolvedForRun(file: AgentFile, ref: string): ResolvedModel {
  try {
    return resolveModel(file, ref)
  } catch (error) {
    return failed(error)
  }
}

function failed(error: unknown): never {
  if (error instanceof Refusal) throw new RunFailure('model_error', error.message, { cause: error })
  throw error
}
