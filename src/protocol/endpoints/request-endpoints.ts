import { z } from 'zod'
import { InboxQuery, RequestsQuery } from '../query.ts'
import { AnswerBody, ElicitationBody, Request, ResumeBody } from '../request.ts'
import { endpoint, Told } from './endpoint.ts'

/** The questions of runs. */
export const requestEndpoints = {
  listRequests: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/requests',
    summary:
      'The questions of a session and of all below it, oldest first; those that wait for a person, unless asked.',
    query: RequestsQuery,
    answers: { 200: z.array(Request) },
    refuses: ['invalid_request', 'unknown_session'],
  }),
  listInbox: endpoint({
    method: 'GET',
    path: '/api/requests',
    summary: 'The questions of all sessions, oldest first; the page that follows is in `Link: rel="next"`.',
    query: InboxQuery,
    answers: { 200: z.array(Request) },
    refuses: ['invalid_request'],
  }),
  getRequest: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/requests/:request_id',
    summary: 'One question of a session or of any below it.',
    answers: { 200: Request },
    refuses: ['unknown_session', 'unknown_request'],
  }),
  answerRequest: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/requests/:request_id/answer',
    summary: 'Answers a question, whatever its kind, and tells it as it is settled.',
    body: AnswerBody,
    answers: { 200: Request },
    refuses: ['unknown_session', 'unknown_request', 'request_settled'],
  }),
  resume: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/resume',
    summary: 'Answers an approval: the one that an id names, or the one that is confirmed now.',
    body: ResumeBody,
    answers: { 200: Told },
    refuses: ['unknown_session', 'unknown_request', 'no_pending_request', 'request_settled'],
  }),
  answerElicitation: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/elicitation',
    summary: 'Answers an elicitation: the one that an id names, or the only one.',
    body: ElicitationBody,
    answers: { 200: z.null() },
    refuses: ['unknown_session', 'unknown_request', 'no_pending_request', 'request_settled'],
  }),
} as const
