import { z } from 'zod'
import { Gap } from './events.ts'
import { Decider, RequestState } from './request.ts'

/** `waiting_for_person`: a run that goes on has put questions that nobody has answered. */
export const FleetStatus = z.enum(['idle', 'running', 'waiting_for_person', 'paused'])
export type FleetStatus = z.infer<typeof FleetStatus>

/** A session as a list of many shows it. It is told whole each time: the newest one that a client has is the session. */
export const FleetSession = z.object({
  id: z.string(),
  title: z.string(),
  created_at: z.string(),
  /** When the fleet was last told of it. */
  updated_at: z.string(),
  parent_id: z.string().optional(),
  /** The sessions above it, the root first. */
  above: z.array(z.string()).optional(),
  agent: z.string().optional(),
  starred: z.boolean(),
  status: FleetStatus,
  run_id: z.string().optional(),
  /** Ids of the questions that wait for a person, here and in the tasks that go on below. */
  open_requests: z.array(z.string()),
  input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  cost: z.number(),
  last_event_seq: z.number().int(),
})
export type FleetSession = z.infer<typeof FleetSession>

/** A question to a person, without what is asked about. */
export const FleetRequest = z.object({
  id: z.string(),
  session_id: z.string(),
  run_id: z.string(),
  agent_name: z.string().optional(),
  kind: z.string(),
  /** The tool that an approval is about, or the beginning of what is asked. */
  label: z.string(),
  state: RequestState,
  decider: Decider.optional(),
  created_at: z.string(),
  settled_at: z.string().optional(),
})
export type FleetRequest = z.infer<typeof FleetRequest>

export const FleetEventType = z.enum([
  'session_created',
  'session_deleted',
  'session_status',
  'session_title',
  'session_progress',
  'request_opened',
  'request_settled',
])
export type FleetEventType = z.infer<typeof FleetEventType>

/** What is told over all sessions. `request` is there with the events that are about one. */
export const FleetEvent = z.object({
  type: FleetEventType,
  timestamp: z.string(),
  session: FleetSession,
  request: FleetRequest.optional(),
  /** The agent that ran it last until now, when that is another one: readers of that agent's sessions see it leave. */
  agent_before: z.string().optional(),
})
export type FleetEvent = z.infer<typeof FleetEvent>

export const FleetEntry = z.object({ seq: z.number().int(), event: FleetEvent })
export type FleetEntry = z.infer<typeof FleetEntry>

/** `GET /api/events` as JSON: ask again with `since=next_since`. */
export const FleetPage = z.object({ events: z.array(FleetEntry), next_since: z.number().int(), gap: Gap.optional() })
export type FleetPage = z.infer<typeof FleetPage>

/** Sessions as they are, newest first, and where to go on: whoever has read all pages reads `/api/events` from `next_since`. */
export const FleetSnapshot = z.object({ sessions: z.array(FleetSession), next_since: z.number().int() })
export type FleetSnapshot = z.infer<typeof FleetSnapshot>
