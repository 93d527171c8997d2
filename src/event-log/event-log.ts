import type { Cursor, ForeignEvent, Gap, LogBounds } from '../protocol/protocol.ts'

/** Consecutive events, framed and joined. Retention may have taken some of them out, but not out of `first` and `last`. */
export interface Segment {
  readonly first: Cursor
  readonly last: Cursor
  readonly text: string
  /** Before `first` there is something that cannot be read. */
  readonly lacks?: 'damaged' | undefined
}

/** The stored part of a log: everything that is committed and that retention has left. */
export interface Journal {
  bounds(): LogBounds
  /** Whole segments with events after a cursor, joined, at most 256 KiB or one segment; `undefined` when there are none. */
  read(after: Cursor): Segment | undefined
}

/** What a reader gets: frames for the wire, or that there is a gap. */
export type LogPage =
  | {
      readonly kind: 'frames'
      readonly first: Cursor
      readonly last: Cursor
      readonly data: Buffer
      readonly lacks?: 'damaged' | undefined
    }
  | { readonly kind: 'gap'; readonly gap: Gap }

export interface ReadOptions {
  /** Where to begin; see `startAt` of the protocol for `null` and `undefined`. */
  readonly since: Cursor | null | undefined
  /** Go on with what is published later. */
  readonly follow: boolean
  /** Ends the reader, which then returns without a further page. */
  readonly signal: AbortSignal
  /** Only events of these types; the cursor moves on over the others. */
  readonly types?: ReadonlySet<string> | undefined
  /** Only events whose JSON it accepts, likewise. */
  readonly where?: ((json: string) => boolean) | undefined
  /** Seq of the last event to show, as soon as that is known. */
  readonly until?: (() => Cursor | undefined) | undefined
}

/**
 * The ordered record of one session. One writer, many readers; a reader is a cursor, not a queue.
 *
 * - L1. `seq` rises by one with each append and is never reused; the head never shrinks, also when old events are gone.
 * - L2. `append` and `publish` wait for no reader.
 * - L3. A reader sees every published event after its cursor once and in order, or is told of a gap. Only pieces of what
 *   another event tells whole (`deltaTypes`) may be missing without a word, once retention has taken them out.
 * - L4. Nothing is shown before it is published, which is after its commit.
 * - L5. After `close` every tail ends once it has shown the last published event.
 * - L6. A reader holds at most one page: 256 KiB or one event.
 */
export interface EventLog {
  /** Seq of the last event that was appended. */
  readonly head: Cursor
  /** Seq of the last event that was published. */
  readonly published: Cursor
  /** Tails that are open. */
  readonly readers: number
  /** Bytes that were appended and not drained yet. */
  readonly undrainedBytes: number
  append(event: ForeignEvent): Cursor
  /** Takes what was appended since the last call, to be committed: segments of at most 64 KiB or one event. */
  drain(): readonly Segment[]
  /** Shows everything up to `last`, which is committed. */
  publish(last: Cursor): void
  /** What is published and kept; `oldest` is one more than `head` when all of it is gone. */
  bounds(): LogBounds
  read(options: ReadOptions): AsyncGenerator<LogPage, void, void>
  close(): void
}

export { createSessionLog } from './session-log.ts'
export { createStoredLog, type StoredLog } from './stored-log.ts'
export { wholeFrames } from './whole-frames.ts'
