import { AgentFileView } from '../protocol/protocol.ts'
import type { Agent } from './agent.ts'
import type { AgentFile } from './agent-file-schema.ts'
import { hide, mask } from './mask.ts'
import type { McpServer, Toolset } from './toolset.ts'

/** The file as `GET /api/agents/:id` shows it. What is secret is masked; what refers to a secret stays readable. */
export function agentFileView(file: AgentFile): AgentFileView {
  const { version, agents, metadata, mcps, toolsets, ...rest } = file
  const whole = {
    version,
    agents: agents.map(agentView),
    ...rest,
    mcps: mcps && mapValues(mcps, toolsetView),
    toolsets: toolsets && mapValues(toolsets, toolsetView),
    metadata: metadata ?? {},
  }
  return AgentFileView.parse(mask(whole))
}

function agentView(agent: Agent) {
  return agent.toolsets === undefined ? agent : { ...agent, toolsets: agent.toolsets.map(toolsetView) }
}

function toolsetView(toolset: Toolset | McpServer) {
  const { remote, api_config, webhook_config } = toolset
  return {
    ...toolset,
    remote: remote ?? { url: '' },
    api_config: api_config ?? {},
    // Who knows the address of a webhook can write to it.
    webhook_config: webhook_config === undefined ? {} : { ...webhook_config, url: hide(webhook_config.url) },
  }
}

function mapValues<T, U>(map: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]))
}
