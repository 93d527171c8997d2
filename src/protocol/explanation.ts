import { z } from 'zod'

/** What a session does, as a person would say it. */
export const ExplainedState = z.enum([
  'idle',
  'queued',
  'running',
  'waiting_for_person',
  'stopping',
  'paused',
  'recovering',
])
export type ExplainedState = z.infer<typeof ExplainedState>

/** Why it is in that state. */
export const StateReason = z.enum([
  // idle
  'never_ran',
  'at_rest',
  'held_by_stop',
  'held_by_failure',
  'held_by_restart',
  'held_by_shutdown',
  'held_by_hand',
  'agent_unavailable',
  'queue_waits',
  // queued
  'no_free_slot',
  'opening_agent',
  // running
  'starting',
  'model',
  'tools',
  'tasks',
  'hooks',
  'between_steps',
  // waiting_for_person
  'person',
  // stopping
  'stop_requested',
  'stuck',
  // paused
  'budget',
  // recovering
  'recovering',
])
export type StateReason = z.infer<typeof StateReason>

/** What a run does, or waits for. */
export const ActivityKind = z.enum([
  'starting',
  'model',
  'tool',
  'hook',
  'person',
  'task',
  'step',
  'stopping',
  'recovering',
])
export type ActivityKind = z.infer<typeof ActivityKind>

/** One thing that goes on now. Times are RFC 3339 in UTC; a deadline is when the server ends it by itself. */
export const Activity = z.object({
  kind: ActivityKind,
  since: z.string(),
  last_sign_of_life: z.string().optional(),
  /** Of a run that is taken up again after a pause. */
  retry_at: z.string().optional(),
  deadline: z.string().optional(),
  name: z.string().optional(),
  tool_call_id: z.string().optional(),
  request_id: z.string().optional(),
  session_id: z.string().optional(),
})
export type Activity = z.infer<typeof Activity>

/** What would bring a session out of its state. */
export const WayOutCode = z.enum([
  'run',
  'followup',
  'free_slot',
  'agent_opens',
  'tools_start',
  'model_answers',
  'tool_ends',
  'hook_ends',
  'next_step',
  'task_ends',
  'answer',
  'cancel',
  'release',
  'run_leaves',
  'budget_raised',
  'deadline',
  'retry',
  'server_starts',
])
export type WayOutCode = z.infer<typeof WayOutCode>

/** One way out of a state: it comes by itself, or by the request that is named. */
export const WayOut = z.object({ code: WayOutCode, message: z.string(), request: z.string().optional() })
export type WayOut = z.infer<typeof WayOut>

/** `GET /api/sessions/:id/explain`. */
export const Explanation = z.object({
  session_id: z.string(),
  state: ExplainedState,
  reason: StateReason,
  since: z.string(),
  message: z.string(),
  run_id: z.string().optional(),
  agent: z.string().optional(),
  activities: z.array(Activity),
  queue: z.object({ steer: z.number().int(), followup: z.number().int(), held: z.number().int() }),
  deadline: z.string().optional(),
  ends_when: z.array(WayOut),
})
export type Explanation = z.infer<typeof Explanation>
