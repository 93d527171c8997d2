import { z } from 'zod'
import { Usage } from './message.ts'

/** How a run ended, as `stream_stopped` tells it. */
export const StopReason = z.enum([
  'normal',
  'error',
  'canceled',
  'interrupted',
  'hook_blocked',
  'loop_detected',
  'budget_exceeded',
])
export type StopReason = z.infer<typeof StopReason>

/** Why a run was ended although what carried it out had not left: it took no notice of a stop, or of being stuck. */
export const DetachReason = z.enum(['stop_ignored', 'stuck'])
export type DetachReason = z.infer<typeof DetachReason>

export const RunStatus = z.enum(['running', 'completed', 'failed', 'canceled', 'interrupted', 'paused'])
export type RunStatus = z.infer<typeof RunStatus>

/** What happens to a run when the client whose request started it leaves before its end. */
export const OnDisconnect = z.enum(['cancel', 'continue'])
export type OnDisconnect = z.infer<typeof OnDisconnect>

/**
 * What started a run: a run request, a detached run request, input that waited in the queue, a task that another agent
 * handed over (and waits for, or not), a request to compact the history, or a raised budget.
 */
export const RunTrigger = z.enum(['stream', 'detached', 'queue', 'delegation', 'background', 'compaction', 'budget'])
export type RunTrigger = z.infer<typeof RunTrigger>

/**
 * What the server does, when it starts again, with a run that its former process left: go on with it, end it, or ask a
 * person.
 */
export const Recovery = z.enum(['resume', 'interrupt', 'ask'])
export type Recovery = z.infer<typeof Recovery>

/** Why a run had to be taken up again: its process was gone, or had handed it over to the next one before it ended. */
export const RecoveryCause = z.enum(['crash', 'handover', 'store_failure'])
export type RecoveryCause = z.infer<typeof RecoveryCause>

/** One stretch of work of a session, from an input to rest. */
export const Run = z.object({
  run_id: z.string(),
  session_id: z.string(),
  /** Of a task that another agent handed over: the run at the top that it belongs to. */
  root_run_id: z.string().optional(),
  agent: z.string(),
  agent_name: z.string(),
  trigger: RunTrigger,
  /** Of a run that a connection started. */
  on_disconnect: OnDisconnect.optional(),
  /** 1, and one more each time it was taken up again after a crash that it may have been the cause of. */
  attempt: z.number().int().optional(),
  /** It waits for a process to go on with it, and no attempt of it is under way. */
  handed_over: z.boolean().optional(),
  /** When a process went on with it that had taken it up. */
  went_on_at: z.string().optional(),
  /** Of a compaction: what is to be kept in mind. */
  additional_prompt: z.string().optional(),
  status: RunStatus,
  reason: StopReason.optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
  /** Who asked for the stop, and why; only of a canceled run. */
  canceled: z.object({ by: z.string(), reason: z.string().optional(), at: z.string() }).optional(),
  first_seq: z.number().int(),
  /** Position of its first entry in the transcript. */
  first_position: z.number().int().optional(),
  last_seq: z.number().int().optional(),
  started_at: z.string(),
  ended_at: z.string().optional(),
  /** It goes on, and what it did leaves the conversation with its end, in whatever process that comes. */
  rolls_back: z.boolean().optional(),
  /** What it did has left the conversation. */
  rolled_back: z.boolean().optional(),
  usage: Usage,
  cost: z.number(),
})
export type Run = z.infer<typeof Run>

/** A tool call that a run had begun before it was rolled back. */
export const RolledBackTool = z.object({ tool_call_id: z.string(), name: z.string() })
export type RolledBackTool = z.infer<typeof RolledBackTool>
