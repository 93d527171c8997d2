import { monotonicFactory } from 'ulid'

/**
 * A new id for a session, run, request, message or input. Ids sort by the time they were made in one process; clients
 * must treat them as opaque.
 */
export const newId: () => string = monotonicFactory()
