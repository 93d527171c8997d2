import { z } from 'zod'
import { FollowUpAnswer, QueueBody, QueueState } from '../input.ts'
import { endpoint } from './endpoint.ts'

/** What is said to a session while it works. */
export const inputEndpoints = {
  steer: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/steer',
    summary:
      'Adds messages that the run reads before its next model call; an idle session keeps them for its next run.',
    body: QueueBody,
    answers: { 202: z.object({ status: z.literal('queued') }) },
    refuses: ['unknown_session', 'session_not_running', 'steer_queue_full'],
  }),
  followUp: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/followup',
    summary: 'Adds messages that are read one at each natural stop; an idle session starts a run.',
    body: QueueBody,
    answers: { 202: FollowUpAnswer },
    refuses: ['unknown_session', 'session_not_running', 'followup_queue_full'],
  }),
  getQueue: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/queue',
    summary: 'How many messages wait.',
    answers: { 200: QueueState },
    refuses: ['unknown_session', 'session_not_running'],
  }),
} as const
