import { z } from 'zod'
import { parseCursor, Refusal } from '../protocol/protocol.ts'

/** Where a page of a list ended that is ordered by a number and then by id, both descending. */
export interface Place {
  /** What the list is ordered by: milliseconds since 1970, or a seq. */
  readonly at: number
  readonly id: string
}

/** The lists that are shown in pages, each by its name and, if it is one of a session, that session. */
export type List = readonly ['sessions' | 'fleet'] | readonly ['runs' | 'inputs' | 'requests', session: string]

const Encoded = z.tuple([z.number(), z.string(), z.string()])

export function encodePlace({ at, id }: Place, list: List): string {
  return Buffer.from(JSON.stringify([at, id, list.join(' ')])).toString('base64url')
}

/** Refuses text that {@link encodePlace} did not write for that list: a place in one means nothing in another. */
export function decodePlace(cursor: string, list: List): Place {
  const parsed = Encoded.safeParse(parseJson(Buffer.from(cursor, 'base64url').toString()))
  if (!parsed.success) throw notGivenOut()
  const [at, id, name] = parsed.data
  if (name !== list.join(' ')) throw invalid('query.cursor', 'is a cursor of another list')
  return { at, id }
}

const fleet: List = ['fleet']

/** Where a page of a fleet ended, and which place of the fleet's log the first page was read at. */
export interface FleetPlace {
  readonly num: number
  readonly head: number
}

export function encodeFleetPlace({ num, head }: FleetPlace): string {
  return encodePlace({ at: num, id: String(head) }, fleet)
}

/** Refuses text that {@link encodeFleetPlace} did not write. */
export function decodeFleetPlace(cursor: string): FleetPlace {
  const { at, id } = decodePlace(cursor, fleet)
  const head = parseCursor(id)
  if (head === undefined) throw notGivenOut()
  return { num: at, head }
}

/** The instant of RFC 3339 text in milliseconds. Refuses other text, naming the query parameter. */
export function instantOf(text: string, parameter: string): number {
  const at = Date.parse(text)
  if (Number.isNaN(at)) throw invalid(`query.${parameter}`, 'is not a time in RFC 3339')
  return at
}

function notGivenOut(): Refusal {
  return invalid('query.cursor', 'is not a cursor that this server gave out')
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
