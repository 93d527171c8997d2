import { z } from 'zod'
import { EventPage } from '../events.ts'
import * as query from '../query.ts'
import { EventStream, endpoint } from './endpoint.ts'

/** Events. */
export const eventEndpoints = {
  getEvents: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/events',
    summary: 'Replays and tails the log of a session, as a stream or, with `Accept: application/json`, as a page.',
    query: query.EventsQuery,
    stream: true,
    answers: { 200: z.union([EventStream, EventPage]) },
    refuses: ['invalid_request', 'unknown_session'],
  }),
} as const
