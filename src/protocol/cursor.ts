import { z } from 'zod'

/**
 * A place in a session's log: the seq of the last event a reader has seen; 0 before the first. Seqs start at 1, rise by
 * 1 and are never reused, also not across restarts.
 */
export const Cursor = z.number().int().nonnegative()
export type Cursor = z.infer<typeof Cursor>

/** Reads a cursor from text. Anything but a decimal integer that JavaScript can hold exactly is `undefined`. */
export function parseCursor(text: string): Cursor | undefined {
  if (!/^\d{1,16}$/.test(text)) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}

/** Why a reader cannot be given exactly what follows its cursor. */
export const GapReason = z.enum(['invalid', 'ahead', 'retention', 'damaged'])
export type GapReason = z.infer<typeof GapReason>

/** The part of a log that is kept: `oldest` is the first seq that can be read, `head` the last; 0 when it is empty. */
export interface LogBounds {
  readonly oldest: number
  readonly head: number
}

/** Where a reader begins, and what it must be told before. */
export interface Start {
  readonly after: Cursor
  readonly gap: { readonly requested: Cursor | null; readonly reason: GapReason } | undefined
}

/**
 * Decides where a reader begins. `undefined` asks for the whole retained log, `null` stands for a cursor nobody can
 * read. A cursor that is unreadable or ahead of the head goes on at the head; one that retention has passed goes on at
 * the oldest event. Never a silent full replay.
 */
export function startAt(cursor: Cursor | null | undefined, { oldest, head }: LogBounds): Start {
  const beforeOldest = Math.max(oldest - 1, 0)
  if (cursor === undefined) return { after: beforeOldest, gap: undefined }
  if (cursor === null) return { after: head, gap: { requested: null, reason: 'invalid' } }
  if (cursor > head) return { after: head, gap: { requested: cursor, reason: 'ahead' } }
  if (cursor < beforeOldest) return { after: beforeOldest, gap: { requested: cursor, reason: 'retention' } }
  return { after: cursor, gap: undefined }
}
