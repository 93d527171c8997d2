import { decodePlace, encodePlace, instantOf, type List, type Place } from './page-cursor.ts'
import type { Page, SessionFilter } from './store.ts'

/** Newest first, then by id, descending, or the other way round; what comes after the cursor's place. */
export function pageOf<T>(
  entries: readonly T[],
  placeOf: (entry: T) => Place,
  list: List,
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
  order: 'newest first' | 'oldest first' = 'newest first',
): Page<T> {
  const after = cursor === undefined ? undefined : decodePlace(cursor, list)
  const inOrder = order === 'newest first' ? (a: Place, b: Place) => byPlace(b, a) : byPlace
  const rest = entries
    .map((entry) => ({ entry, place: placeOf(entry) }))
    .sort((a, b) => inOrder(a.place, b.place))
    .filter(({ place }) => after === undefined || inOrder(after, place) < 0)
  const shown = rest.slice(0, limit)
  const last = rest.length > limit ? shown.at(-1) : undefined
  return { entries: shown.map(({ entry }) => entry), next: last && encodePlace(last.place, list) }
}

/** The place of what is listed by when it was created. */
export function placeOf({ created_at, id }: { readonly created_at: string; readonly id: string }): Place {
  return { at: Date.parse(created_at), id }
}

/** Orders places, the oldest first. */
export function byPlace(a: Place, b: Place): number {
  if (a.at !== b.at) return a.at - b.at
  return a.id < b.id ? -1 : Number(a.id > b.id)
}

/** Tells what was created between the instants of a filter. */
export function createdWithin({
  created_after,
  created_before,
}: Pick<SessionFilter, 'created_after' | 'created_before'>): (created_at: string) => boolean {
  const after = created_after === undefined ? -Infinity : instantOf(created_after, 'created_after')
  const before = created_before === undefined ? Infinity : instantOf(created_before, 'created_before')
  return (created_at) => Date.parse(created_at) > after && Date.parse(created_at) < before
}
