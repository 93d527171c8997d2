import type { Agent, AgentFile } from '../agent-file/agent-file.ts'
import type { LanguageModel } from '../models/models.ts'
import type { HookContext, HookReport, ToolEnvironment } from '../tools/tools.ts'
import type { RunContext, RuntimeEvent } from './runtime.ts'
import type { Toolbox } from './toolbox.ts'

/** An agent while it runs: who, with what, and for whom. */
export interface AgentAtWork {
  readonly file: AgentFile
  readonly agent: Agent
  readonly model: LanguageModel
  readonly toolbox: Toolbox
  readonly environment: ToolEnvironment
  readonly context: RunContext
  readonly signal: AbortSignal
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
