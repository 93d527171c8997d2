import type { Agent, AgentFile } from '../agent-file/agent-file.ts'
import type { LanguageModel, Models } from '../models/models.ts'
import { Refusal, type StopReason } from '../protocol/protocol.ts'
import type { ToolEnvironment } from '../tools/tools.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import { loop } from './loop.ts'
import { findModel, modelOf, type ResolvedModel, resolveModel } from './model-resolution.ts'
import { createModelSwitch } from './model-switch.ts'
import { RunFailure } from './run-failure.ts'
import { beginningHooks } from './run-hooks.ts'
import type { RunContext, Runtime, RuntimeEvent } from './runtime.ts'
import { teamInfo } from './team-info.ts'
import { withTitle } from './title.ts'
import { Toolbox } from './toolbox.ts'

/** One agent of a file as it is now. */
export interface RunnableAgent {
  readonly file: AgentFile
  readonly agent: Agent
  readonly models: Models
  readonly environment: ToolEnvironment
}

/** The runtime of an agent that uses nothing that is not built. Keeps its toolsets between runs. */
export function createAgentRuntime(runnable: RunnableAgent): Runtime {
  const { file, agent, models, environment } = runnable
  const toolbox = new Toolbox(file, agent, environment)
  return {
    agent: agent.Name,
    safetyPolicy: agent.safety ?? file.runtime?.safety,
    models: createModelSwitch(file, agent, models),
    isLasting: !toolbox.isEmpty,
    run: (context) => run(runnable, toolbox, context),
    close: () => toolbox.close(),
  }
}

async function* run(
  runnable: RunnableAgent,
  toolbox: Toolbox,
  context: RunContext,
): AsyncGenerator<RuntimeEvent, StopReason, void> {
  try {
    yield* beginning(runnable, toolbox, context)
    const { model, titleModel } = await openModels(runnable, context)
    const turns = (signal: AbortSignal) => work({ ...runnable, toolbox, model, context, signal })
    if (!context.untitled) return yield* turns(context.signal)
    return yield* withTitle(turns, titleModel, context.history, context.signal)
  } catch (error) {
    if (context.signal.aborted) return 'canceled'
    throw error
  }
}

async function* work(agentAtWork: AgentAtWork): AsyncGenerator<RuntimeEvent, StopReason, void> {
  return yield* loop(agentAtWork, yield* beginningHooks(agentAtWork))
}

/** What every run tells before its first model call. */
async function* beginning(
  { file, agent }: RunnableAgent,
  toolbox: Toolbox,
  context: RunContext,
): AsyncGenerator<RuntimeEvent, void, void> {
  const agent_name = agent.Name
  yield teamInfo(file, agent, context.model)
  for (const { sentence, required, cause } of await toolbox.start(context.signal)) {
    if (required) throw new RunFailure('tool_failed', sentence, { cause })
    yield { type: 'warning', agent_name, message: sentence }
  }
  yield { type: 'toolset_info', agent_name, available_tools: toolbox.tools.length, loading: false }
  if (agent.fallback?.models?.length) {
    const message = 'Fallback models are not supported yet: when the model of this agent fails, so does the run.'
    yield { type: 'warning', agent_name, message }
  }
}

interface RunModels {
  readonly model: LanguageModel
  readonly titleModel: LanguageModel
}

/** The reference was good when the session took it; the file may have changed since. */
async function openModels({ file, agent, models }: RunnableAgent, context: RunContext): Promise<RunModels> {
  const resolved = resolvedForRun(file, context.model ?? modelOf(agent))
  const model = await models.open(resolved.definition).catch(failed)
  if (!context.untitled || resolved.titleModel === undefined) return { model, titleModel: model }
  // A model that makes no titles is no reason not to answer.
  const forTitles = findModel(file, resolved.titleModel)?.definition ?? resolved.definition
  return { model, titleModel: await models.open(forTitles).catch(() => model) }
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
