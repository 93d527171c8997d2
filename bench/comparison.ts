/** Two figures of the same kind, measured one after the other: ours, and what it is measured beside. */
export interface Pair {
  readonly ours: number
  readonly reference: number
}

/** What the ratio of ours to the reference should be. */
export interface Goal {
  readonly bound: 'at most' | 'at least'
  readonly goal: number
  readonly stretch: number
}

/** One row of the table. */
export interface Comparison {
  readonly subject: string
  /** What it is measured beside. */
  readonly reference: string
  /** Of both figures. */
  readonly unit: string
  readonly pairs: readonly Pair[]
  readonly goal?: Goal
}

export type Verdict = 'stretch' | 'goal' | 'missed'

export interface Spread {
  readonly least: number
  readonly median: number
  readonly most: number
}

/** The middle one, or the mean of the two in the middle. Throws a `RangeError` when there are none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)]
  const lower = sorted[Math.ceil(sorted.length / 2) - 1]
  if (upper === undefined || lower === undefined) throw new RangeError('nothing was measured')
  return (lower + upper) / 2
}

/** Each pair has its own ratio: what disturbs the machine for a while disturbs both of a pair. */
export function ratios(pairs: readonly Pair[]): Spread {
  const all = pairs.map(({ ours, reference }) => ours / reference)
  return { least: Math.min(...all), median: median(all), most: Math.max(...all) }
}

export function verdict(ratio: number, { bound, goal, stretch }: Goal): Verdict {
  const keeps = (limit: number) => (bound === 'at most' ? ratio <= limit : ratio >= limit)
  if (keeps(stretch)) return 'stretch'
  return keeps(goal) ? 'goal' : 'missed'
}
