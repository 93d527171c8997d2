import { z } from 'zod'
import { MessagePart } from './message.ts'

/** A message as clients send it. A role that is missing or empty means a user. */
export const InputMessage = z.object({
  role: z.string().optional(),
  content: z.string().default(''),
  multi_content: z.array(MessagePart).nullish(),
})
export type InputMessage = z.infer<typeof InputMessage>

/** The body of a run request: an object, or the bare array that early clients send. */
export const RunBody = z.union(
  [
    z.array(InputMessage).transform((messages) => ({ messages, model: undefined })),
    z.object({ messages: z.array(InputMessage).default([]), model: z.string().optional() }),
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
})
export type DetachedRunBody = z.infer<typeof DetachedRunBody>

/** The body of steer and follow-up. */
export const QueueBody = z.object({ messages: z.array(InputMessage).nonempty('at least one message is required') })
export type QueueBody = z.infer<typeof QueueBody>

export const InputKind = z.enum(['steer', 'followup'])
export type InputKind = z.infer<typeof InputKind>

/** An accepted message that waits for its turn, or what became of it. */
export const QueuedInput = z.object({
  id: z.string(),
  session_id: z.string(),
  kind: InputKind,
  message: InputMessage,
  state: z.enum(['queued', 'delivered']),
  created_at: z.string(),
  /** The run that took it. */
  run_id: z.string().optional(),
})
export type QueuedInput = z.infer<typeof QueuedInput>

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
