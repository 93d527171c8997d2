import { z } from 'zod'
import { parseCursor, Refusal } from '../protocol/protocol.ts'

/** Where a page of a list ended that is ordered by a number and then by id, both descending. */
export interface Place {
  /** What the list is ordered by: milliseconds since 1970, or a seq. */
  readonly at: number
  readonly id: string
}

const Encoded = z.tuple([z.number(), z.string()])

export function encodePlace({ at, id }: Place): string {
  return Buffer.from(JSON.stringify([at, id])).toString('base64url')
}

/** Refuses text that {@link encodePlace} did not write. */
export function decodePlace(cursor: string): Place {
  const parsed = Encoded.safeParse(parseJson(Buffer.from(cursor, 'base64url').toString()))
  if (!parsed.success) throw invalid('query.cursor', 'is not a cursor that this server gave out')
  const [at, id] = parsed.data
  return { at, id }
}

/** Where a page of a fleet ended, and which place of the fleet's log the first page was read at. */
export interface FleetPlace {
  readonly num: number
  readonly head: number
}

export function encodeFleetPlace({ num, head }: FleetPlace): string {
  return encodePlace({ at: num, id: String(head) })
}

/** Refuses text that {@link encodeFleetPlace} did not write. */
export function decodeFleetPlace(cursor: string): FleetPlace {
  const { at, id } = decodePlace(cursor)
  const head = parseCursor(id)
  if (head === undefined) throw invalid('query.cursor', 'is not a cursor that this server gave out')
  return { num: at, head }
}

/** The instant of RFC 3339 text in milliseconds. Refuses other text, naming the query parameter. */
export function instantOf(text: string, parameter: string): number {
  const at = Date.parse(text)
  if (Number.isNaN(at)) throw invalid(`query.${parameter}`, 'is not a time in RFC 3339')
  return at
}

function invalid(path: string, message: string): Refusal {
  return new Refusal('invalid_request', undefined, { details: [{ path, message }] })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
