import { monotonicFactory } from 'ulid'

const bytes = new Uint8Array(1024)
let taken = bytes.length

/** From 0 to less than 1. To ask the system for one byte at a time costs more than all the rest of an id. */
function random(): number {
  if (taken === bytes.length) {
    crypto.getRandomValues(bytes)
    taken = 0
  }
  return (bytes[taken++] ?? 0) / 256
}

/**
 * A new id for a session, run, request, message or input. Ids sort by the time they were made in one process; clients
 * must treat them as opaque.
 */
export const newId: () => string = monotonicFactory(random)
