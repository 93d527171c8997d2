import { Refusal } from '../protocol/protocol.ts'

/** The refusal that every write and read gets which the store cannot carry out. Not among SQLite's errors: the writer's thread loads no schemas. */
export function unavailableRefusal(cause?: unknown): Refusal {
  return new Refusal('store_unavailable', undefined, { retryAfter: 1, cause })
}
