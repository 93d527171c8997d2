import type { Cursor } from '../protocol/protocol.ts'

export interface RingLimits {
  readonly events: number
  readonly bytes: number
}

/**
 * The newest events of a log, as frames, bounded in events and bytes. Grows past its bounds only for what is not committed
 * yet and for the newest commit, which it always holds whole.
 */
export class Ring {
  readonly #limits: RingLimits
  #frames: string[] = []
  /** Bytes of each frame. */
  #sizes: number[] = []
  /** Frames before this index are dropped already; the array is cut now and then. */
  #start = 0
  #bytes = 0
  #next: Cursor

  constructor(head: Cursor, limits: RingLimits) {
    this.#next = head + 1
    this.#limits = limits
  }

  /** Seq of the oldest frame; one more than the newest when the ring is empty. */
  get first(): Cursor {
    return this.#next - (this.#frames.length - this.#start)
  }

  get last(): Cursor {
    return this.#next - 1
  }

  /** Returns the bytes of the frame. */
  push(frame: string): number {
    const bytes = Buffer.byteLength(frame)
    this.#frames.push(frame)
    this.#sizes.push(bytes)
    this.#bytes += bytes
    this.#next += 1
    return bytes
  }

  /** The frame of an event that the ring holds. */
  at(seq: Cursor): string | undefined {
    return this.#frames[this.#start + seq - this.first]
  }

  /** Bytes of the frame of an event that the ring holds. */
  sizeOf(seq: Cursor): number {
    return this.#sizes[this.#start + seq - this.first] ?? 0
  }

  /** Drops the oldest frames until the bounds hold, but none from `keepFrom` on. */
  evict(keepFrom: Cursor): void {
    while (this.first < keepFrom && this.#isOver()) {
      this.#bytes -= this.sizeOf(this.first)
      this.#frames[this.#start] = ''
      this.#start += 1
    }
    if (this.#start > this.#limits.events) {
      this.#frames = this.#frames.slice(this.#start)
      this.#sizes = this.#sizes.slice(this.#start)
      this.#start = 0
    }
  }

  #isOver(): boolean {
    return this.#frames.length - this.#start > this.#limits.events || this.#bytes > this.#limits.bytes
  }
}
