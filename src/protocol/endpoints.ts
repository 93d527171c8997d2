import { agentEndpoints } from './endpoints/agent-endpoints.ts'
import type { Endpoint } from './endpoints/endpoint.ts'
import { eventEndpoints } from './endpoints/event-endpoints.ts'
import { fleetEndpoints } from './endpoints/fleet-endpoints.ts'
import { inputEndpoints } from './endpoints/input-endpoints.ts'
import { requestEndpoints } from './endpoints/request-endpoints.ts'
import { runEndpoints } from './endpoints/run-endpoints.ts'
import { serverEndpoints } from './endpoints/server-endpoints.ts'
import { sessionEndpoints } from './endpoints/session-endpoints.ts'
import { settingEndpoints } from './endpoints/setting-endpoints.ts'
import { transcriptEndpoints } from './endpoints/transcript-endpoints.ts'

export {
  type Endpoint,
  EventStream,
  everywhere,
  idempotencyKey,
  isMutation,
  ofSession,
  refusalsOf,
  waitParameters,
  withBody,
  withKey,
} from './endpoints/endpoint.ts'

/** The whole surface, by name. */
export const endpoints = {
  ...serverEndpoints,
  ...agentEndpoints,
  ...sessionEndpoints,
  ...runEndpoints,
  ...eventEndpoints,
  ...fleetEndpoints,
  ...inputEndpoints,
  ...requestEndpoints,
  ...settingEndpoints,
  ...transcriptEndpoints,
} as const satisfies Readonly<Record<string, Endpoint>>

export type EndpointName = keyof typeof endpoints

export const endpointNames = Object.keys(endpoints) as readonly EndpointName[]
