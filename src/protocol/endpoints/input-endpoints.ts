import { z } from 'zod'
import {
  AcceptedInput,
  FollowUpAnswer,
  InputChange,
  InputsBody,
  QueueBody,
  QueuedInput,
  QueueState,
  RunStart,
} from '../input.ts'
import * as query from '../query.ts'
import { endpoint } from './endpoint.ts'
import { runRefusals } from './run-endpoints.ts'

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
  listInputs: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/inputs',
    summary: 'The messages that wait, in the order of delivery; with `state=all` every one, newest first, in pages.',
    query: query.InputsQuery,
    answers: { 200: z.array(QueuedInput) },
    refuses: ['invalid_request', 'unknown_session'],
  }),
  addInputs: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/inputs',
    summary:
      'Says something to a session whatever it does: an idle one starts a run, a busy one does what `if_busy` says.',
    body: InputsBody,
    answers: { 202: z.union([RunStart, AcceptedInput]) },
    refuses: [...runRefusals(), 'session_not_running'],
  }),
  getInput: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/inputs/:input_id',
    summary: 'What became of a message.',
    answers: { 200: QueuedInput },
    refuses: ['unknown_session', 'unknown_input'],
  }),
  updateInput: endpoint({
    method: 'PATCH',
    path: '/api/sessions/:id/inputs/:input_id',
    summary: 'Changes a message that waits: its text, its place, its kind, or whether it is held.',
    body: InputChange,
    answers: { 200: QueuedInput },
    refuses: ['unknown_session', 'unknown_input', 'input_settled', 'steer_queue_full', 'followup_queue_full'],
  }),
  cancelInput: endpoint({
    method: 'DELETE',
    path: '/api/sessions/:id/inputs/:input_id',
    summary: 'Takes back a message that waits.',
    answers: { 200: QueuedInput },
    refuses: ['unknown_session', 'unknown_input', 'input_settled', 'overloaded'],
  }),
} as const
