/**
 * What the server is made of, for programs that embed it: the manager that owns sessions, the server that serves a manager,
 * the ports that either stands on, and the language of the wire.
 */
export {
  type AgentSources,
  type AgentSourcesOptions,
  createAgentSources,
  createAgentSources as sourceLoader,
} from './agent-file/agent-file.ts'
export type { EventLog, Journal, LogPage, ReadOptions } from './event-log/event-log.ts'
export {
  createModels,
  type LanguageModel,
  type ModelDefinition,
  ModelFailure,
  type ModelFailureCode,
  type ModelPart,
  type ModelRequest,
  type Models,
  type ModelsOptions,
} from './models/models.ts'
export * from './protocol/protocol.ts'
export { createAgents } from './runtime/agents.ts'
export * from './runtime/runtime.ts'
export * from './server/server.ts'
export * from './session-manager/session-manager.ts'
export { createMemoryStore } from './store/memory-store.ts'
export { createSqliteStore } from './store/sqlite-store.ts'
export type * from './store/store.ts'
export { StoreError } from './store/store.ts'
export { ownProcesses } from './tools/tools.ts'
