import type { Agent, AgentFile } from '../agent-file/agent-file.ts'
import type { LanguageModel } from '../models/models.ts'
import type { HookContext, HookReport, ToolEnvironment } from '../tools/tools.ts'
import type { AgentModels } from './agent-models.ts'
import type { Budgets } from './budgets.ts'
import type { ModelChain } from './model-chain.ts'
import type { RunToolbox } from './run-toolbox.ts'
import type { Resumption, RunContext, RuntimeEvent } from './runtime.ts'
import type { Stopwatch } from './stopwatch.ts'

/** What the agents of one run have in common, one after another. */
export interface SharedWork {
  readonly budgets: Budgets
  readonly stopwatch: Stopwatch
  /** What a process before has done of the run, until that is taken into account. */
  resumed: Resumption | undefined
  /** Model calls of the run. */
  calls: number
  /** Who was asked to go on with the conversation. */
  handoff: Agent | undefined
  handoffs: number
}

/** An agent while it runs: who, with what, and for whom. */
export interface AgentAtWork {
  readonly file: AgentFile
  readonly agent: Agent
  /** Opens further models for it, for instance for one turn. */
  readonly models: AgentModels
  /** Its model in this run, with those that step in for it. */
  readonly chain: ModelChain
  readonly compaction: Compaction
  readonly toolbox: RunToolbox
  readonly environment: ToolEnvironment
  readonly shared: SharedWork
  readonly context: RunContext
  readonly signal: AbortSignal
}

/** How the history of an agent is compacted. */
export interface Compaction {
  readonly model: LanguageModel
  /** Tokens that both it and the agent's model can read; `undefined` when nobody knows. */
  readonly window: number | undefined
  /** The share of the window. */
  readonly share: number | undefined
  /** Tokens that may be used before it happens by itself; `undefined`: it does not. */
  readonly threshold: number | undefined
}

/** Where the hooks of an agent run; what they do is told as events. */
export function hookContext(work: AgentAtWork, tell: (event: RuntimeEvent) => unknown): HookContext {
  const { agent, context, environment, signal } = work
  return {
    sessionId: context.conversation,
    agentName: agent.Name,
    environment,
    signal,
    tell: (report) => {
      tell(hookEvent(agent.Name, report))
    },
  }
}

function hookEvent(agent_name: string, report: HookReport): RuntimeEvent {
  switch (report.kind) {
    case 'started':
      return { type: 'hook_started', agent_name, hook_event: report.event }
    case 'finished': {
      const { event, durationMs, allowed, error, message } = report
      return { type: 'hook_finished', agent_name, hook_event: event, duration_ms: durationMs, allowed, error, message }
    }
    case 'warning':
      return { type: 'warning', agent_name, message: report.message }
  }
}
