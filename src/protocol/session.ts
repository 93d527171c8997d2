import { z } from 'zod'
import { Budget, ExceededBudget, Spending } from './budget.ts'
import { QueuedInput } from './input.ts'
import { Message, Usage } from './message.ts'
import { RequestDeadline } from './request.ts'
import { Recovery } from './run.ts'

const aliases: Readonly<Record<string, string>> = {
  unsafe: 'autonomous',
  safer: 'balanced',
  'safe-auto': 'balanced',
}

/** How much a session may do without asking. `''` means nobody has chosen. */
export const SafetyPolicy = z.enum(['', 'strict', 'balanced', 'restricted', 'autonomous'])
export type SafetyPolicy = z.infer<typeof SafetyPolicy>

/** A policy as clients may write it: the names of {@link SafetyPolicy} and the ancestor's aliases. */
export const SafetyPolicyInput = z.preprocess(
  (value) => (typeof value === 'string' ? (aliases[value] ?? value) : value),
  SafetyPolicy,
)

/** Patterns of tool calls that run, ask or are refused. */
export const Permissions = z.object({
  allow: z.array(z.string()).optional(),
  ask: z.array(z.string()).optional(),
  deny: z.array(z.string()).optional(),
})
export type Permissions = z.infer<typeof Permissions>

/** A failure that the session keeps. */
export const SessionError = z.object({
  message: z.string(),
  code: z.string().optional(),
  agent_name: z.string().optional(),
  created_at: z.string().optional(),
})
export type SessionError = z.infer<typeof SessionError>

/** Stands for everything before `first_kept_entry` (an index into the session's items) when a prompt is built. */
export const Summary = z.object({
  summary: z.string(),
  first_kept_entry: z.number().int().nonnegative().optional(),
  cost: z.number().nonnegative().optional(),
  model: z.string().optional(),
  usage: Usage.optional(),
})
export type Summary = z.infer<typeof Summary>

/** Why a run was stopped before its agent was done. */
export const Termination = ExceededBudget.extend({ reason: z.literal('budget_exceeded') })
export type Termination = z.infer<typeof Termination>

/** One entry of a session as the wire shows it: exactly one kind of key is set. */
export const Item = z.object({
  message: Message.optional(),
  error: SessionError.optional(),
  termination: Termination.optional(),
  /** The session that carried out a task, whole: a {@link Session}. */
  sub_session: z.looseObject({ id: z.string() }).optional(),
  ...Summary.partial().shape,
})
export type Item = z.infer<typeof Item>

const settings = {
  title: z.string(),
  created_at: z.string(),
  tools_approved: z.boolean(),
  safety_policy: SafetyPolicy.optional(),
  prior_safety_policy: SafetyPolicy.optional(),
  non_interactive: z.boolean().optional(),
  hide_tool_results: z.boolean(),
  working_dir: z.string().optional(),
  SendUserMessage: z.boolean(),
  max_iterations: z.number().int(),
  max_consecutive_tool_calls: z.number().int().optional(),
  max_old_tool_call_tokens: z.number().int().optional(),
  max_tool_result_tokens: z.number().int().optional(),
  starred: z.boolean(),
  input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  cost: z.number(),
  permissions: Permissions.optional(),
  attributes: z.record(z.string(), z.string()).optional(),
  agent_model_overrides: z.record(z.string(), z.string()).optional(),
  custom_models_used: z.array(z.string()).optional(),
  attached_files: z.array(z.string()).optional(),
  origin: z.string().optional(),
  parent_id: z.string().optional(),
  request_deadline: z.string().optional(),
  budget: Budget.optional(),
  recovery: Recovery.optional(),
  spent: Spending.optional(),
  paused: ExceededBudget.optional(),
}

/** A session as `POST /api/sessions` answers it. `messages` is null when there are none. */
export const Session = z.object({ id: z.string(), ...settings, messages: z.array(Item).nullable() })
export type Session = z.infer<typeof Session>

/** A title as clients choose it: it is in every list, and told again and again. */
export const TitleInput = z.string().max(1000)

/** What a client may choose when it creates a session; every other key is ignored. */
export const SessionTemplate = z.object({
  title: TitleInput.trim().optional(),
  working_dir: z.string().trim().optional(),
  tools_approved: z.boolean().optional(),
  safety_policy: SafetyPolicyInput.optional(),
  permissions: Permissions.nullish(),
  max_iterations: z.number().int().optional(),
  max_consecutive_tool_calls: z.number().int().optional(),
  max_old_tool_call_tokens: z.number().int().optional(),
  max_tool_result_tokens: z.number().int().optional(),
  agent_model_overrides: z.record(z.string(), z.string()).nullish(),
  custom_models_used: z.array(z.string()).nullish(),
  attributes: z.record(z.string(), z.string()).nullish(),
  request_deadline: RequestDeadline.nullish(),
  budget: Budget.nullish(),
  recovery: Recovery.optional(),
})
export type SessionTemplate = z.infer<typeof SessionTemplate>

/** The agent a session runs: the key of its source, and the agent inside the file. */
export const SessionAgent = z.object({ source: z.string(), name: z.string() })
export type SessionAgent = z.infer<typeof SessionAgent>

/** How a session is set, and what it has used: what its `session_updated` events tell. */
export const SessionSettings = z.object({
  tools_approved: z.boolean(),
  safety_policy: SafetyPolicy.optional(),
  permissions: Permissions.optional(),
  starred: z.boolean(),
  agent_model_overrides: z.record(z.string(), z.string()).optional(),
  input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  cost: z.number(),
  request_deadline: z.string().optional(),
  budget: Budget.optional(),
  paused: ExceededBudget.optional(),
})
export type SessionSettings = z.infer<typeof SessionSettings>

/** A session in a list. */
export const SessionSummary = z.object({
  id: z.string(),
  title: z.string(),
  created_at: z.string(),
  num_messages: z.number().int(),
  input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  working_dir: z.string().optional(),
  streaming: z.boolean().optional(),
  starred: z.boolean().optional(),
  agent: z.string().optional(),
  parent_id: z.string().optional(),
  paused: ExceededBudget.optional(),
  /** Its record cannot be read: everything that is asked of it is refused, but its deletion. */
  damaged: z.boolean().optional(),
})
export type SessionSummary = z.infer<typeof SessionSummary>

/** `GET /api/sessions/:id`. */
export const SessionDetails = z.object({
  id: z.string(),
  title: z.string(),
  messages: z.array(Message).optional(),
  created_at: z.string(),
  tools_approved: z.boolean(),
  safety_policy: SafetyPolicy.optional(),
  input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  working_dir: z.string().optional(),
  permissions: Permissions.optional(),
  starred: z.boolean(),
  attributes: z.record(z.string(), z.string()).optional(),
  agent_model_overrides: z.record(z.string(), z.string()).optional(),
  parent_id: z.string().optional(),
  request_deadline: z.string().optional(),
  budget: Budget.optional(),
  spent: Spending.optional(),
  paused: ExceededBudget.optional(),
})
export type SessionDetails = z.infer<typeof SessionDetails>

/** All a client needs to draw a session. State and `last_event_seq` are one point: tail from there. */
export const Snapshot = z.object({
  id: z.string(),
  title: z.string(),
  created_at: z.string(),
  working_dir: z.string().optional(),
  messages: z.array(Message).nullable(),
  /** What waits, in the order of delivery. */
  inputs: z.array(QueuedInput),
  tools_approved: z.boolean(),
  safety_policy: SafetyPolicy.optional(),
  permissions: Permissions.optional(),
  input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  streaming: z.boolean(),
  agent: z.string().optional(),
  run_id: z.string().optional(),
  last_event_seq: z.number().int(),
  cost: z.number(),
  parent_id: z.string().optional(),
  request_deadline: z.string().optional(),
  budget: Budget.optional(),
  spent: Spending.optional(),
  paused: ExceededBudget.optional(),
})
export type Snapshot = z.infer<typeof Snapshot>

/** `GET /api/sessions/:id/status`. */
export const SessionStatus = z.object({
  id: z.string(),
  title: z.string(),
  streaming: z.boolean(),
  agent: z.string().optional(),
  run_id: z.string().optional(),
  input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  num_messages: z.number().int(),
})
export type SessionStatus = z.infer<typeof SessionStatus>

/** One session of `POST /api/sessions/batch/export`. */
export const SessionExport = z.object({
  id: z.string(),
  title: z.string(),
  created_at: z.string(),
  messages: z.array(Message).nullable(),
  input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  working_dir: z.string(),
  tools_approved: z.boolean(),
})
export type SessionExport = z.infer<typeof SessionExport>

/** `GET /api/sessions/:id/recovery`. */
export const SessionRecovery = SessionExport.extend({
  permissions: Permissions.nullable(),
  errors: z.array(SessionError).optional(),
})
export type SessionRecovery = z.infer<typeof SessionRecovery>
