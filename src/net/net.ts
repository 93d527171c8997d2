/**
 * Requests to places that a stranger may have named. Every hop is checked after its name was looked up, and the
 * connection goes to the very address that was checked, so that neither a redirect nor a name that changes its
 * address leads anywhere else.
 */
export { isLoopback, type Reach } from './address.ts'
export { type GuardedRequest, type GuardedResponse, guardedRequest } from './guarded-request.ts'
export { NetFailure } from './net-failure.ts'
export { type Body, readBody } from './read-body.ts'
