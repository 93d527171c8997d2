import { z } from 'zod'
import { AcceptedInput, DetachedRunBody, RunBody, RunStart } from '../input.ts'
import * as query from '../query.ts'
import { Run } from '../run.ts'
import { EventStream, endpoint } from './endpoint.ts'

/** Runs. */
export const runEndpoints = {
  streamRun: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/agent/:agent',
    summary: 'Runs the default agent of a source and streams the run.',
    query: query.RunQuery,
    body: RunBody,
    anyContentType: true,
    stream: true,
    answers: { 200: EventStream },
    refuses: runRefusals(),
  }),
  streamNamedRun: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/agent/:agent/:agent_name',
    summary: 'Runs an agent of a source and streams the run.',
    query: query.RunQuery,
    body: RunBody,
    anyContentType: true,
    stream: true,
    answers: { 200: EventStream },
    refuses: runRefusals(),
  }),
  startRun: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/runs',
    summary: 'Starts a run that no connection is bound to.',
    body: DetachedRunBody,
    answers: { 202: z.union([RunStart, AcceptedInput]) },
    refuses: runRefusals(),
  }),
  listRuns: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/runs',
    summary: 'Lists the runs of a session, newest first; the page that follows is in `Link: rel="next"`.',
    query: query.PageQuery,
    answers: { 200: z.array(Run) },
    refuses: ['invalid_request', 'unknown_session'],
  }),
  getRun: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/runs/:run_id',
    summary: 'How a run stands or ended.',
    answers: { 200: Run },
    refuses: ['unknown_session', 'unknown_run'],
  }),
  cancelRun: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/cancel',
    summary: 'Stops the run that goes on; 202 when it has not ended within `wait` (10 s). Idempotent.',
    query: query.CancelQuery,
    body: z.object({ run_id: z.string().optional(), reason: z.string().max(1000).optional() }),
    emptyBody: {},
    answers: {
      200: z.object({ message: z.string(), run: Run.optional() }),
      202: z.object({ message: z.string(), run: Run.optional() }),
    },
    refuses: ['unknown_session', 'unknown_run'],
  }),
  compact: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/compact',
    summary: 'Replaces the older part of the history by a summary, in a run of its own or before the next model call.',
    body: z.object({ additional_prompt: z.string().max(10_000).optional() }),
    emptyBody: {},
    answers: { 202: z.object({ status: z.enum(['started', 'queued']), run_id: z.string() }) },
    refuses: [
      'unknown_session',
      'session_not_running',
      'compaction_unsupported',
      'unknown_agent',
      'invalid_agent_file',
      'agent_not_supported',
      'agent_source_unavailable',
      'too_many_runs',
    ],
  }),
} as const

export function runRefusals() {
  return [
    'unknown_session',
    'unknown_agent',
    'invalid_agent_file',
    'agent_not_supported',
    'agent_source_unavailable',
    'invalid_model',
    'model_switch_unsupported',
    'session_busy',
    'steer_queue_full',
    'followup_queue_full',
    'too_many_runs',
  ] as const
}
