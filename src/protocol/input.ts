import { z } from 'zod'
import { MessagePart } from './message.ts'

/** A message as clients send it. A role that is missing or empty means a user. */
export const InputMessage = z.object({
  role: z.string().optional(),
  content: z.string().default(''),
  multi_content: z.array(MessagePart).nullish(),
})
export type InputMessage = z.infer<typeof InputMessage>

/** What a request shall do when the session is busy. */
export const IfBusy = z.enum(['reject', 'enqueue', 'steer', 'interrupt', 'rollback'])
export type IfBusy = z.infer<typeof IfBusy>

/** The body of a run request: an object, or the bare array that early clients send. */
export const RunBody = z.union(
  [
    z.array(InputMessage).transform((messages) => ({ messages, model: undefined, if_busy: undefined })),
    z.object({
      messages: z.array(InputMessage).default([]),
      model: z.string().optional(),
      if_busy: IfBusy.optional(),
    }),
  ],
  'must be an object with messages, or a list of messages',
)
export type RunBody = z.infer<typeof RunBody>

/** `POST /api/sessions/:id/runs`. */
export const DetachedRunBody = z.object({
  agent: z.string(),
  agent_name: z.string().optional(),
  messages: z.array(InputMessage).default([]),
  model: z.string().optional(),
  if_busy: IfBusy.default('reject'),
})
export type DetachedRunBody = z.infer<typeof DetachedRunBody>

/** The body of steer and follow-up. */
export const QueueBody = z.object({ messages: z.array(InputMessage).nonempty('at least one message is required') })
export type QueueBody = z.infer<typeof QueueBody>

/** `POST …/inputs`. */
export const InputsBody = QueueBody.extend({
  if_busy: IfBusy.default('enqueue'),
  agent: z.string().optional(),
  agent_name: z.string().optional(),
  model: z.string().optional(),
})
export type InputsBody = z.infer<typeof InputsBody>

/** A run that has begun for a request. */
export const RunStart = z.object({ run_id: z.string(), session_id: z.string(), first_seq: z.number().int() })
export type RunStart = z.infer<typeof RunStart>

/** What waits because the session was busy. */
export const AcceptedInput = z.object({
  status: z.enum(['queued', 'steered']),
  session_id: z.string(),
  input_ids: z.array(z.string()),
  /** The run that is steered. */
  run_id: z.string().optional(),
})
export type AcceptedInput = z.infer<typeof AcceptedInput>

export const InputKind = z.enum(['steer', 'followup'])
export type InputKind = z.infer<typeof InputKind>

/** What became of an accepted message: it waits, or it is settled. */
export const InputState = z.enum(['queued', 'held', 'delivered', 'cancelled', 'failed'])
export type InputState = z.infer<typeof InputState>

/** Why a message that waits is passed over. What a client holds stays so until a client releases it. */
export const HeldBy = z.enum(['client', 'stop', 'failure', 'budget', 'restart'])
export type HeldBy = z.infer<typeof HeldBy>

/** An accepted message that waits for its turn, or what became of it. */
export const QueuedInput = z.object({
  id: z.string(),
  session_id: z.string(),
  kind: InputKind,
  message: InputMessage,
  state: InputState,
  held_by: HeldBy.optional(),
  /** Order among those of its kind that wait; the distance means nothing. */
  place: z.number(),
  created_at: z.string(),
  sent_by: z.string().optional(),
  /** Which agent and model a follow-up wants; without them any run takes it. */
  agent: z.string().optional(),
  agent_name: z.string().optional(),
  model: z.string().optional(),
  /** The run that took it. */
  run_id: z.string().optional(),
  /** Why it failed. */
  error: z.object({ code: z.string(), message: z.string() }).optional(),
  settled_at: z.string().optional(),
})
export type QueuedInput = z.infer<typeof QueuedInput>

/** `PATCH …/inputs/:input_id`: what changes. */
export const InputChange = z.object({
  message: InputMessage.optional(),
  /** Another input of the kind it has then; empty means the end. */
  before: z.string().optional(),
  kind: InputKind.optional(),
  held: z.boolean().optional(),
})
export type InputChange = z.infer<typeof InputChange>

/** How many messages wait, and how many may. */
const QueueDepth = z.object({ depth: z.number().int(), capacity: z.number().int() })
export const QueueState = z.object({ steer: QueueDepth, followup: QueueDepth })
export type QueueState = z.infer<typeof QueueState>

/** Capacity of the two queues of a session, in messages. */
export const queueCapacity = { steer: 5, followup: 20 } as const satisfies Record<InputKind, number>

export const FollowUpAnswer = z.object({
  status: z.enum(['queued_streaming', 'queued_idle', 'duplicate']),
  duplicate: z.boolean(),
})
export type FollowUpAnswer = z.infer<typeof FollowUpAnswer>
