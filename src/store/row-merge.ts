/** A row of events that has no place yet; `text` is `null` when it is too large to be merged, `at` in milliseconds since 1970. */
export interface LooseRow {
  readonly id: number
  readonly session: number
  readonly first: number
  readonly last: number
  readonly at: number
  readonly size: number
  readonly text: string | null
}

/** Rows that become one. As old as the newest of them, so that retention removes nothing too early. */
export interface MergedRow {
  readonly ids: readonly number[]
  readonly session: number
  readonly first: number
  readonly last: number
  readonly at: number
  readonly text: string
}

/**
 * Fewer rows than `rows` are not worth being written again. `bytes` is the most that a segment may have, and `span` how
 * many milliseconds of events it may hold, because retention by age removes whole segments.
 */
export const mergeLimits = { rows: 16, bytes: 64 * 1024, span: 60 * 60 * 1000 } as const

/** No run of enough rows can have larger ones throughout. */
export const smallRow = mergeLimits.bytes / mergeLimits.rows

/**
 * Finds the runs of rows that follow one another, and joins them. Takes the rows by session, then by `first`. A session
 * whose rows overlap each other, or what has its place already (up to `headOf`), is left alone: there, the first event
 * with a seq counts.
 */
export function mergedRows(rows: readonly LooseRow[], headOf: (session: number) => number): readonly MergedRow[] {
  return [...Map.groupBy(rows, ({ session }) => session)]
    .filter(([session, own]) => own.length >= mergeLimits.rows && follows(headOf(session), own))
    .flatMap(([, own]) => runsOf(own))
    .filter((run) => run.length >= mergeLimits.rows)
    .flatMap(joined)
}

function follows(head: number, rows: readonly LooseRow[]): boolean {
  return rows.every(({ first }, index) => first > (rows[index - 1]?.last ?? head))
}

function runsOf(rows: readonly LooseRow[]): readonly (readonly LooseRow[])[] {
  const runs: LooseRow[][] = []
  let bytes = 0
  let began = 0
  let next = 0
  for (const row of rows) {
    bytes += row.size
    const goesOn = row.first === next && bytes <= mergeLimits.bytes && Math.abs(row.at - began) <= mergeLimits.span
    next = row.last + 1
    if (goesOn && row.text !== null) {
      runs.at(-1)?.push(row)
      continue
    }
    // A large row ends a run and begins none.
    runs.push(row.text === null ? [] : [row])
    if (row.text === null) next = 0
    bytes = row.size
    began = row.at
  }
  return runs
}

function joined(run: readonly LooseRow[]): readonly MergedRow[] {
  const [first, last] = [run.at(0), run.at(-1)]
  if (first === undefined || last === undefined) return []
  return [
    {
      ids: run.map(({ id }) => id),
      session: first.session,
      first: first.first,
      last: last.last,
      at: Math.max(...run.map(({ at }) => at)),
      text: run.map(({ text }) => text).join(''),
    },
  ]
}
