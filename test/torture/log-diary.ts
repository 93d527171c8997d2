import type { Frame } from '../crash/frames.ts'
import type { Complaint } from './complaint.ts'

/** An event of a JSON page. */
export interface Entry {
  readonly seq: number
  readonly event: unknown
}

/** All that readers were shown of one log. Outlives the servers. */
export abstract class LogDiary {
  /** Beginnings of frames whose rest never came. */
  readonly torn: Frame[] = []
  readonly pages: Entry[] = []
  readonly #frames = new Map<number, string>()
  #head = 0
  #changed = Promise.withResolvers<void>()

  /** Where the log is read. */
  abstract readonly path: string
  /** What every reader asks for, besides its cursor. */
  abstract readonly query: string
  /** Nobody reads it any more. */
  abstract readonly isGone: boolean

  get frames(): ReadonlyMap<number, string> {
    return this.#frames
  }

  /** The last seq that anybody was shown. */
  get head(): number {
    return this.#head
  }

  /** Resolves with the next frame that somebody is shown. */
  get changed(): Promise<void> {
    return this.#changed.promise
  }

  /** Takes down a frame that somebody was shown; complains when somebody was shown another one under its seq. */
  show(frame: Frame): void {
    const before = this.#frames.get(frame.seq)
    if (before !== undefined) {
      if (before !== frame.bytes) throw this.complaint(`seq ${frame.seq} was ${before} and is ${frame.bytes}`)
      return
    }
    this.#frames.set(frame.seq, frame.bytes)
    this.#head = Math.max(this.#head, frame.seq)
    this.read(frame)
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  /** Takes down how a stream broke off after a cursor. */
  showRest(cursor: number, rest: string): void {
    if (rest.startsWith('id: ')) this.torn.push({ seq: cursor + 1, bytes: rest })
  }

  /** Somebody was told that it is gone. */
  abstract seeGone(): void
  abstract complaint(text: string): Complaint
  /** A frame that nobody was shown before. */
  protected abstract read(frame: Frame): void
}
