import { z } from 'zod'
import * as query from '../query.ts'
import { endpoint } from './endpoint.ts'

/** What the server says of itself. */
export const serverEndpoints = {
  health: endpoint({
    method: 'GET',
    path: '/health',
    summary: 'Says that the process lives, and which version it is.',
    answers: { 200: z.object({ status: z.literal('ok'), version: z.string() }) },
    refuses: ['forbidden_origin'],
  }),
  ready: endpoint({
    method: 'GET',
    path: '/ready',
    summary: 'Says whether the server takes work, and what is missing. 503 while it starts, drains, or cannot commit.',
    answers: { 200: readiness(), 503: readiness() },
    refuses: ['forbidden_origin'],
  }),
  ping: endpoint({
    method: 'GET',
    path: '/api/ping',
    summary: 'Answers when the token is right.',
    answers: { 200: z.object({ status: z.literal('ok') }) },
    refuses: [],
  }),
  apiReady: endpoint({
    method: 'GET',
    path: '/api/ready',
    summary: 'Waits until the first session of this process was created, attached or run.',
    query: query.ReadyQuery,
    answers: { 200: z.object({ status: z.literal('ready') }) },
    refuses: ['invalid_request', 'wait_timeout'],
  }),
  openApi: endpoint({
    method: 'GET',
    path: '/api/openapi.json',
    summary: 'This surface as an OpenAPI 3.1 document.',
    answers: { 200: z.looseObject({ openapi: z.literal('3.1.0') }) },
    refuses: [],
  }),
} as const

function readiness() {
  return z.object({
    ready: z.boolean(),
    /** Sessions that run now. */
    active_sessions: z.number().int(),
    store_connected: z.boolean(),
    latest_error: z.string().optional(),
  })
}
