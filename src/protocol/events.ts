import { z } from 'zod'
import { BudgetUsage, ExceededBudget } from './budget.ts'
import { GapReason } from './cursor.ts'
import { QueuedInput } from './input.ts'
import { Message, MessagePart, Tool, ToolCall, ToolCallResult, Usage } from './message.ts'
import { Decider, Request } from './request.ts'
import { DetachReason, RecoveryCause, RolledBackTool, StopReason } from './run.ts'
import { Session, SessionSettings, Summary } from './session.ts'

/**
 * Keys that every event of a session may carry. `run_id` names the run, `root_run_id` of a task's run the one at the top;
 * `timestamp` is RFC 3339 in UTC.
 */
const envelope = {
  session_id: z.string(),
  run_id: z.string().optional(),
  root_run_id: z.string().optional(),
  timestamp: z.string(),
  agent_name: z.string().optional(),
}

const event = <Type extends string, Shape extends z.ZodRawShape>(type: Type, shape: Shape) =>
  z.object({ type: z.literal(type), ...envelope }).extend(shape)

/** Usage of the last model call, with what the session has cost so far. */
export const TokenUsage = z.object({
  input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  context_length: z.number().int(),
  context_limit: z.number().int(),
  cost: z.number(),
  compaction_threshold: z.number().optional(),
  last_message: Usage.extend({ Cost: z.number(), Model: z.string(), finish_reason: z.string().optional() }).optional(),
})
export type TokenUsage = z.infer<typeof TokenUsage>

export const TeamMember = z.object({
  name: z.string(),
  description: z.string(),
  provider: z.string(),
  model: z.string(),
  thinking: z.string().optional(),
  commands: z.record(z.string(), z.unknown()).optional(),
})
export type TeamMember = z.infer<typeof TeamMember>

/** Codes of `error` events. */
export const FailureCode = z.enum([
  'model_error',
  'rate_limited',
  'context_exceeded',
  'request_too_large',
  'media_too_large',
  'tool_failed',
  'hook_blocked',
  'loop_detected',
  'agent_unavailable',
  'attempts_exhausted',
  'interrupted',
  'store_unavailable',
  'stuck',
  'internal',
])
export type FailureCode = z.infer<typeof FailureCode>

/** Every event of a session's log, by type. */
export const events = {
  user_message: event('user_message', {
    message: z.string(),
    multi_content: z.array(MessagePart).optional(),
    session_position: z.number().int(),
    message_id: z.string(),
    input_id: z.string().optional(),
  }),
  stream_started: event('stream_started', {}),
  stream_stopped: event('stream_stopped', { reason: StopReason }),
  run_detached: event('run_detached', { reason: DetachReason }),
  run_recovered: event('run_recovered', {
    attempt: z.number().int(),
    cause: RecoveryCause,
    from_seq: z.number().int(),
    to_seq: z.number().int(),
    message_id: z.string().optional(),
  }),
  agent_choice: event('agent_choice', { content: z.string() }),
  agent_choice_reasoning: event('agent_choice_reasoning', { content: z.string() }),
  partial_tool_call: event('partial_tool_call', { tool_call: ToolCall, tool_definition: Tool.optional() }),
  tool_call: event('tool_call', { tool_call: ToolCall, tool_definition: Tool }),
  tool_call_confirmation: event('tool_call_confirmation', {
    tool_call: ToolCall,
    tool_definition: Tool,
    metadata: z.record(z.string(), z.string()).optional(),
    request_id: z.string(),
  }),
  hook_started: event('hook_started', { hook_event: z.string() }),
  hook_finished: event('hook_finished', {
    hook_event: z.string(),
    duration_ms: z.number().int(),
    allowed: z.boolean(),
    error: z.string().optional(),
    message: z.string().optional(),
  }),
  hook_blocked: event('hook_blocked', { tool_call: ToolCall, tool_definition: Tool, message: z.string() }),
  tool_call_output: event('tool_call_output', { tool_call_id: z.string(), tool_definition: Tool, output: z.string() }),
  tool_call_response: event('tool_call_response', {
    tool_call_id: z.string(),
    tool_definition: Tool,
    response: z.string(),
    result: ToolCallResult.optional(),
  }),
  message_added: event('message_added', {
    message_id: z.string(),
    session_position: z.number().int(),
    message: Message,
  }),
  message_updated: event('message_updated', {
    message_id: z.string(),
    session_position: z.number().int(),
    message: Message,
  }),
  token_usage: event('token_usage', { usage: TokenUsage }),
  session_title: event('session_title', { title: z.string() }),
  session_updated: event('session_updated', SessionSettings.shape),
  session_summary: event('session_summary', Summary.shape),
  session_compaction: event('session_compaction', {
    status: z.enum(['started', 'completed']),
    outcome: z.enum(['applied', 'skipped', 'failed']).optional(),
  }),
  agent_switching: event('agent_switching', {
    switching: z.boolean(),
    from_agent: z.string().optional(),
    to_agent: z.string().optional(),
  }),
  sub_session_completed: event('sub_session_completed', { parent_session_id: z.string(), sub_session: Session }),
  max_iterations_reached: event('max_iterations_reached', {
    max_iterations: z.number().int(),
    request_id: z.string().optional(),
  }),
  budget_usage: event('budget_usage', { budgets: z.array(BudgetUsage) }),
  budget_exceeded: event('budget_exceeded', ExceededBudget.shape),
  agent_info: event('agent_info', {
    agent_name: z.string(),
    model: z.string(),
    description: z.string(),
    welcome_message: z.string().optional(),
    context_limit: z.number().int().optional(),
    compaction_model: z.string().optional(),
    primary_context_limit: z.number().int().optional(),
  }),
  model_fallback: event('model_fallback', {
    failed_model: z.string(),
    fallback_model: z.string(),
    reason: z.string(),
    attempt: z.number().int(),
    max_attempts: z.number().int(),
  }),
  team_info: event('team_info', { available_agents: z.array(TeamMember), current_agent: z.string() }),
  toolset_info: event('toolset_info', { available_tools: z.number().int(), loading: z.boolean() }),
  mcp_init_started: event('mcp_init_started', {}),
  mcp_init_finished: event('mcp_init_finished', {}),
  warning: event('warning', { message: z.string() }),
  error: event('error', { error: z.string(), code: FailureCode }),
  elicitation_request: event('elicitation_request', {
    message: z.string(),
    mode: z.enum(['form', 'url']).optional(),
    schema: z.unknown().optional(),
    url: z.string().optional(),
    elicitation_id: z.string(),
    server_elicitation_id: z.string().optional(),
    tool_call_id: z.string().optional(),
    meta: z.record(z.string(), z.unknown()).optional(),
  }),
  request_opened: event('request_opened', { request: Request }),
  request_reminder: event('request_reminder', { request: Request }),
  request_settled: event('request_settled', { request: Request, decider: Decider }),
  run_rolled_back: event('run_rolled_back', {
    from_seq: z.number().int(),
    to_seq: z.number().int(),
    message_ids: z.array(z.string()),
    tools_run: z.array(RolledBackTool),
  }),
  input_queued: event('input_queued', { input: QueuedInput }),
  input_updated: event('input_updated', { input: QueuedInput }),
  input_settled: event('input_settled', { input: QueuedInput }),
  session_exited: event('session_exited', { reason: z.string() }),
} as const

export const Event = z.discriminatedUnion('type', Object.values(events) as [(typeof events)[keyof typeof events]])
export type Event = { [Type in keyof typeof events]: z.infer<(typeof events)[Type]> }[keyof typeof events]
export type EventType = keyof typeof events

/**
 * Types of events that are pieces of what another event tells whole, later. Retention may take them out of a log before
 * the events around them.
 */
export const deltaTypes: readonly string[] = [
  'agent_choice',
  'agent_choice_reasoning',
  'partial_tool_call',
  'tool_call_output',
] satisfies readonly EventType[]

/**
 * Tells a reader that it does not get what follows its cursor. Has no id, is in no log, and goes to one reader. The
 * reader takes a new snapshot and goes on from its `last_event_seq`; the stream goes on at `oldest` or at `head`.
 */
export const Gap = z.object({
  type: z.literal('gap'),
  requested: z.number().int().nullable(),
  oldest: z.number().int(),
  head: z.number().int(),
  reason: GapReason,
})
export type Gap = z.infer<typeof Gap>

/** An event that came from outside: an attached source may send types that are not ours. */
export const ForeignEvent = z.looseObject({ type: z.string() })
export type ForeignEvent = z.infer<typeof ForeignEvent>

type WithoutEnvelope<E> = E extends unknown ? Omit<E, 'session_id' | 'run_id' | 'timestamp'> : never

/** An event as it is decided; the log gives it a place, the session its envelope. */
export type EventBody = WithoutEnvelope<Event>

/** An event as it stands in a log: its seq, and the event. */
export const LogEntry = z.object({ seq: z.number().int(), event: ForeignEvent })
export type LogEntry = z.infer<typeof LogEntry>

/** `GET /api/sessions/:id/events` as JSON: ask again with `since=next_since`. */
export const EventPage = z.object({ events: z.array(LogEntry), next_since: z.number().int(), gap: Gap.optional() })
export type EventPage = z.infer<typeof EventPage>
