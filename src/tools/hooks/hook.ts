import type { Tool } from '../../protocol/protocol.ts'
import type { ToolEnvironment } from '../tools.ts'

/** A hook as an agent file writes it. The kind `model` is never run. */
export interface HookConfig {
  readonly name?: string | undefined
  readonly type: 'command' | 'builtin' | 'model'
  /** A shell command, or the name of a built-in. */
  readonly command?: string | undefined
  readonly args?: readonly string[] | undefined
  /** Seconds; 60 when absent. */
  readonly timeout?: number | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly working_dir?: string | undefined
  readonly on_error?: 'warn' | 'ignore' | 'block' | undefined
}

export interface ToolHookConfig {
  readonly matcher?: string | undefined
  readonly hooks: readonly HookConfig[]
  readonly preempt_yolo?: boolean | undefined
}

/** The hooks of an agent. Other events may be there; `unsupportedHooks` names them. */
export interface HooksConfig {
  readonly pre_tool_use?: readonly ToolHookConfig[] | undefined
  readonly post_tool_use?: readonly ToolHookConfig[] | undefined
  readonly permission_request?: readonly ToolHookConfig[] | undefined
  readonly session_start?: readonly HookConfig[] | undefined
  readonly user_prompt_submit?: readonly HookConfig[] | undefined
  readonly stop?: readonly HookConfig[] | undefined
}

export type HookEventName = keyof HooksConfig

interface ToolUse {
  readonly tool: Tool
  readonly callId: string
  /** Parsed arguments. */
  readonly args: unknown
}

/** What happened, as hooks get to know it. */
export type HookEvent =
  | { readonly name: 'session_start'; readonly source: 'startup' | 'resume' | 'clear' | 'compact' }
  | { readonly name: 'user_prompt_submit'; readonly prompt: string }
  | ({ readonly name: 'pre_tool_use'; readonly preempt: boolean } & ToolUse)
  | ({ readonly name: 'permission_request' } & ToolUse)
  | ({ readonly name: 'post_tool_use'; readonly response: string; readonly isError: boolean } & ToolUse)
  | { readonly name: 'stop'; readonly response: string; readonly lastUserMessage: string }

/** Tells of hooks while they run; `hook_started` and `hook_finished` on the wire, and warnings for the person. */
export type HookReport =
  | { readonly kind: 'started'; readonly event: HookEventName }
  | {
      readonly kind: 'finished'
      readonly event: HookEventName
      readonly durationMs: number
      readonly allowed: boolean
      readonly error: string | undefined
      readonly message: string | undefined
    }
  | { readonly kind: 'warning'; readonly event: HookEventName; readonly message: string }

/** Where and for whom hooks run. */
export interface HookContext {
  readonly sessionId: string
  readonly agentName: string
  readonly environment: ToolEnvironment
  /** Aborts when the run stops: the hooks are killed with everything that they started. */
  readonly signal: AbortSignal
  tell(report: HookReport): void
}

/** What one hook says. */
export interface HookAnswer {
  readonly decision: 'allow' | 'deny' | 'ask' | undefined
  readonly reason: string | undefined
  readonly updatedInput: Readonly<Record<string, unknown>> | undefined
  readonly metadata: Readonly<Record<string, string>>
  /** For the model. */
  readonly additionalContext: string | undefined
  /** For the person. */
  readonly systemMessage: string | undefined
}

export const silence: HookAnswer = {
  decision: undefined,
  reason: undefined,
  updatedInput: undefined,
  metadata: {},
  additionalContext: undefined,
  systemMessage: undefined,
}

/** A hook could not be run to its end, or its answer makes no sense. */
export class HookFailure extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'HookFailure'
  }
}
