import { z } from 'zod'
import { ElicitationBody, Request, ResumeBody } from '../request.ts'
import { endpoint, Told } from './endpoint.ts'

/** The questions of runs. */
export const requestEndpoints = {
  listRequests: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/requests',
    summary: 'The questions that wait for a person, oldest first.',
    answers: { 200: z.array(Request) },
    refuses: ['unknown_session'],
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
