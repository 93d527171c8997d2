/**
 * The door of the room that turns agent files into checked configuration.
 *
 * - F1 Whatever the text, parsing gives an `AgentFile` or throws the refusal `invalid_agent_file` that names key and line.
 * - F2 Parsing reads nothing but the instruction files below the directory of the agent file.
 * - F3 A view shows no header value, environment value or token that the file holds; references to them stay readable.
 * - F4 Sources see what was edited, added or deleted on disk at the next call.
 * - F5 A file or URL that stops being usable keeps its last good version, and `list` says what is wrong with it.
 * - F6 A URL leads to public addresses over https only; http is for a loopback host that was asked for by name.
 */
export { Agent, Fallback, Skills, StructuredOutput } from './agent.ts'
export { AgentFile, Budget, Permissions } from './agent-file-schema.ts'
export { agentFileView } from './agent-file-view.ts'
export type { AgentSources, LoadedAgentFile } from './agent-sources.ts'
export { agentNamed, commandsOf, summarise } from './agent-summary.ts'
export { Command, Commands } from './command.ts'
export { type AgentSourcesOptions, createAgentSources } from './create-agent-sources.ts'
export { Safety } from './fields.ts'
export { Hook, Hooks, ToolHook } from './hooks.ts'
export { Cost, ModelConfig, ProviderConfig, ThinkingBudget } from './model-config.ts'
export { type ParseOptions, parseAgentFile } from './parse-agent-file.ts'
export { RagConfig } from './rag.ts'
export {
  ApiConfig,
  Lifecycle,
  McpServer,
  RagSource,
  Remote,
  RerunRule,
  ScriptTool,
  Toolset,
  ToolsetType,
  WebhookConfig,
} from './toolset.ts'
