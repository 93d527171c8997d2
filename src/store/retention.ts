/** What retention needs to know of a segment; `at` in milliseconds since 1970. */
export interface Aged {
  readonly last: number
  readonly at: number
}

/** Segments go that are older than `before` (milliseconds since 1970), and those that end before the newest `keep` events. */
export interface Policy {
  readonly before: number
  readonly keep: number | undefined
}

/**
 * How many of a log's oldest segments go: always a prefix, so that no hole opens when a clock went backwards. The
 * caller leaves out the newest segment.
 */
export function retired(oldest: readonly Aged[], head: number, { before, keep }: Policy): number {
  const kept = oldest.findIndex(({ last, at }) => at >= before && (keep === undefined || last > head - keep))
  return kept === -1 ? oldest.length : kept
}
