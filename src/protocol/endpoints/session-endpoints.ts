import { z } from 'zod'
import { Explanation } from '../explanation.ts'
import * as query from '../query.ts'
import {
  Session,
  SessionDetails,
  SessionExport,
  SessionRecovery,
  SessionStatus,
  SessionSummary,
  SessionTemplate,
  Snapshot,
} from '../session.ts'
import { endpoint, Told } from './endpoint.ts'

/** No more than a page of a list has. */
const SessionIds = z.array(z.string()).nonempty('session_ids cannot be empty').max(1000)

/** Sessions. */
export const sessionEndpoints = {
  listSessions: endpoint({
    method: 'GET',
    path: '/api/sessions',
    summary: 'Lists root sessions, newest first; the page that follows is in `Link: rel="next"`.',
    query: query.SessionsQuery,
    answers: { 200: z.array(SessionSummary) },
    refuses: ['invalid_request'],
  }),
  createSession: endpoint({
    method: 'POST',
    path: '/api/sessions',
    summary: 'Creates a session from a template.',
    body: SessionTemplate,
    emptyBody: {},
    answers: { 200: Session },
    refuses: ['invalid_working_dir'],
  }),
  getSession: endpoint({
    method: 'GET',
    path: '/api/sessions/:id',
    summary: 'A session with its transcript.',
    query: query.SessionQuery,
    answers: { 200: SessionDetails },
    refuses: ['invalid_request', 'unknown_session'],
  }),
  getSnapshot: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/snapshot',
    summary: 'All a client needs to draw a session; state and `last_event_seq` are one point.',
    query: query.SessionQuery,
    answers: { 200: Snapshot },
    refuses: ['invalid_request', 'unknown_session'],
  }),
  getStatus: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/status',
    summary: 'Whether a session runs; `wait` waits until it has a runtime.',
    query: query.StatusQuery,
    answers: { 200: SessionStatus },
    refuses: ['invalid_request', 'unknown_session', 'session_not_running', 'wait_timeout'],
  }),
  explain: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/explain',
    summary: 'What a session does, since when, and what would end it: for people and for programs.',
    answers: { 200: Explanation },
    refuses: ['unknown_session'],
  }),
  deleteSession: endpoint({
    method: 'DELETE',
    path: '/api/sessions/:id',
    summary: 'Deletes a session and stops its run; with `wait=true` 202 when the run has not left in time.',
    query: query.DeleteQuery,
    answers: { 200: Told, 202: Told },
    refuses: ['invalid_request', 'unknown_session'],
  }),
  listChildren: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/children',
    summary: 'The sessions that carry out tasks for a session, oldest first.',
    answers: { 200: z.array(SessionSummary) },
    refuses: ['unknown_session'],
  }),
  forkSession: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/fork',
    summary: 'Copies a session as it was before one of its user messages.',
    body: z.object({ user_message_index: z.number().int().default(0) }),
    emptyBody: {},
    answers: { 200: SessionDetails },
    refuses: ['unknown_session'],
  }),
  getRecovery: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/recovery',
    summary: 'A session with its recorded failures.',
    answers: { 200: SessionRecovery },
    refuses: ['unknown_session'],
  }),
  batchDelete: endpoint({
    method: 'POST',
    path: '/api/sessions/batch/delete',
    summary: 'Deletes sessions; waits for no run.',
    body: z.object({ session_ids: SessionIds }),
    answers: {
      200: z.object({
        deleted_count: z.number().int(),
        failed_count: z.number().int(),
        failed_ids: z.array(z.string()).optional(),
      }),
    },
    refuses: [],
  }),
  batchExport: endpoint({
    method: 'POST',
    path: '/api/sessions/batch/export',
    summary: 'Exports sessions; `missing_ids` names those that do not exist.',
    readsOnly: true,
    body: z.object({
      session_ids: SessionIds,
      format: z.string().optional(),
    }),
    answers: {
      200: z.object({
        export_format: z.literal('json'),
        timestamp: z.string(),
        session_count: z.number().int(),
        sessions: z.array(SessionExport),
        missing_ids: z.array(z.string()).optional(),
      }),
    },
    refuses: [],
  }),
} as const
