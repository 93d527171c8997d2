import { z } from 'zod'
import { FleetPage, FleetSnapshot } from '../fleet.ts'
import * as query from '../query.ts'
import { EventStream, endpoint } from './endpoint.ts'

/** All sessions at once. */
export const fleetEndpoints = {
  getFleetEvents: endpoint({
    method: 'GET',
    path: '/api/events',
    summary: 'Tells what happens in all sessions, as a stream or, with `Accept: application/json`, as a page.',
    query: query.FleetEventsQuery,
    stream: true,
    answers: { 200: z.union([EventStream, FleetPage]) },
    refuses: ['invalid_request'],
  }),
  getFleetSnapshot: endpoint({
    method: 'GET',
    path: '/api/events/snapshot',
    summary: 'All sessions and where to go on with `/api/events`; the page that follows is in `Link: rel="next"`.',
    query: query.FleetSnapshotQuery,
    answers: { 200: FleetSnapshot },
    refuses: ['invalid_request'],
  }),
} as const
