import type { ElicitationAnswer, ElicitationContent, Tool, ToolCallResult } from '../protocol/protocol.ts'

export { type Arguments, readArguments, readFields } from './arguments.ts'
export { type BuiltInTool, builtInTool, readOnly } from './built-in-tool.ts'
export { BuiltInToolset } from './built-in-toolset.ts'
export { createTeamState, createToolset, supportedToolsets, type TeamState } from './create-toolset.ts'
export {
  type CallInQuestion,
  type Decision,
  type DecisionHooks,
  type DecisionSource,
  decide,
  reconsider,
  verdictSources,
} from './decision.ts'
export { DecoratedToolset, type Decoration } from './decorated-toolset.ts'
export type { HookContext, HookReport, HooksConfig } from './hooks/hook.ts'
export { decisionHooks, type HookOutcome, runHooks } from './hooks/hook-runner.ts'
export { unsupportedHooks } from './hooks/hook-support.ts'
export { redact, redactText } from './hooks/secrets.ts'
export { readLifecycle } from './mcp/lifecycle.ts'
export { unlessAborted } from './mcp/unless-aborted.ts'
export type { PermissionTiers } from './permissions.ts'
export { ownProcesses } from './process-owner.ts'
export { type RerunDefinition, type RerunRule, rerunRule } from './rerun-rule.ts'
export { CallFailure, json, success } from './result.ts'
export { LimitedToolset } from './result-limit.ts'
export { assess, safetyMetadata } from './safety.ts'
export { createSkills, type SkillsDefinition } from './skills.ts'
export type { ToolsetDefinition } from './toolset-definition.ts'
export { ToolsetFailure } from './toolset-failure.ts'
export { agentVariables, expandHeaders, expandVariables } from './variables.ts'

/** Where toolsets of one session work. */
export interface ToolEnvironment {
  /** Absolute; relative paths of tools start here. */
  readonly workingDir: string
  /** What child processes and `${env.NAME}` see. */
  readonly variables: Readonly<Record<string, string | undefined>>
  /** Where toolsets keep what outlives a session, such as memories. */
  readonly dataDir: string
  /** Whether what tools say is freed of secrets before anybody gets it: see {@link RedactedToolset}. */
  readonly redactSecrets?: boolean | undefined
}

/** Headers of the API request behind a run, for `${headers.NAME}`. Not to be kept, told or logged. */
export type RequestHeaders = Readonly<Record<string, string>>

/** What one call may use while it goes on. */
export interface CallContext {
  /** Names the call among those of its answer. */
  readonly callId: string
  /** Aborts when the run stops: the call ends soon after and takes its child processes along. */
  readonly signal: AbortSignal
  /** Tells live output, for people; the result repeats it. */
  output(chunk: string): void
  /** Asks a person. Rejects with the signal's reason when the run stops before the answer. */
  elicit(question: Omit<ElicitationContent, 'kind'>): Promise<ElicitationAnswer>
  /** Headers of the API request behind the run, for `${headers.NAME}`. */
  readonly headers: RequestHeaders
}

/**
 * A group of tools that is started, called and stopped together.
 *
 * - T1. `tools` is what can be called now; it may change between two turns. Empty before `start`.
 * - T2. `call` never throws for what a tool did or could not do: that is a result with `isError`. It throws the signal's
 *   reason after an abort, and anything else only for a defect.
 * - T3. A call leaves soon after its signal; what it started (processes and their children, requests, files) is gone by then.
 * - T4. A toolset that crashes, hangs, floods or returns garbage costs its own call: results are bounded, and waits have limits.
 * - T5. After `close` nothing that the toolset started is left. Twice is harmless; `start` starts it again.
 * - T6. After {@link ownProcesses}, what was started does not outlive this process either, however it ends: on Linux it is killed
 *   at once, and by the next owner of the database at the latest.
 */
export interface Toolset {
  /** What the model is told about using the tools, if anything. */
  readonly instruction: string | undefined
  readonly tools: readonly Tool[]
  /**
   * Makes the tools ready for a run, whose end aborts the signal. Throws `ToolsetFailure` when they cannot be; twice is
   * harmless. `headers` are those of the API request behind the run: a connection that was opened with others is opened again.
   */
  start(signal: AbortSignal, headers?: RequestHeaders): Promise<void>
  call(name: string, args: unknown, context: CallContext): Promise<ToolCallResult>
  close(): Promise<void>
}
