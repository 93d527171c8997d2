import type { LogPage } from '../../src/event-log/event-log.ts'
import type { Cursor, Gap } from '../../src/protocol/protocol.ts'
import { shown } from './log-under-test.ts'

/** What a log has been told, and what it may therefore show. Outlives the processes that write the log. */
export class LogModel {
  /** The text of each event, by seq; what a crash lost is not among them. */
  readonly #texts = new Map<Cursor, string>()
  /** What readers were shown. */
  readonly #told = new Map<Cursor, string>()
  /** Last seqs of what was decided in one tick. */
  readonly #decided = new Set<Cursor>([0])
  /** Last seq that was said to be committed. */
  #committed = 0
  /** Last seq that retention may have removed. */
  #removable = 0
  #appended = 0

  /** A text that no other event has. */
  text(size: number): string {
    this.#appended += 1
    return `${this.#appended}`.padEnd(size, '.')
  }

  appended(seq: Cursor, text: string): void {
    expectThat(!this.#texts.has(seq), `seq ${seq} is given twice (L1)`)
    expectThat(seq === 1 || this.#texts.has(seq - 1), `seq ${seq} follows a hole (L1)`)
    this.#texts.set(seq, text)
  }

  /** What was appended since the last call was decided in one tick. */
  decided(last: Cursor): void {
    this.#decided.add(last)
  }

  committed(last: Cursor): void {
    this.#committed = Math.max(this.#committed, last)
  }

  /** Retention has kept about so many of the events up to a seq. */
  retained(head: Cursor, keep: number): void {
    this.#removable = Math.max(this.#removable, head - keep)
  }

  /** A process ended, and the next one found this head. */
  reopened(head: Cursor): void {
    expectThat(head >= this.#committed, `a committed event is lost: ${head} < ${this.#committed} (L1, L4)`)
    expectThat(this.#decided.has(head), `${head} is within what one tick decided: half of it is lost`)
    for (const seq of this.#texts.keys()) if (seq > head) this.#texts.delete(seq)
    for (const [seq, text] of this.#told) expectThat(this.#texts.get(seq) === text, `${seq} was shown too early (L4)`)
  }

  /** Takes what a reader at a cursor was shown, and answers where it stands now. */
  follow(cursor: Cursor, page: LogPage, published: Cursor): Cursor {
    if (page.kind === 'gap') return this.#skip(cursor, page.gap, published)
    expectThat(page.first === cursor + 1, `${page.first} is shown after ${cursor} (L3)`)
    const entries = shown(page)
    expectThat(entries.length === 1 || page.data.length <= 256 * 1024, `a page of ${page.data.length} bytes (L6)`)
    let seq = cursor
    for (const entry of entries) {
      seq += 1
      if (!('seq' in entry)) throw new Error('a gap is no frame')
      expectThat(entry.seq === seq, `${entry.seq} is shown where ${seq} should be (L3)`)
      this.show(seq, entry.event.content, published)
    }
    expectThat(page.last === seq, `a page that ends with ${seq} says that it ends with ${page.last} (L3)`)
    return seq
  }

  show(seq: Cursor, text: unknown, published: Cursor): void {
    expectThat(seq <= published, `${seq} is shown, but only ${published} are published (L4)`)
    expectThat(this.#texts.get(seq) === text, `${seq} is not what was appended (L3)`)
    this.#told.set(seq, String(text))
  }

  /** Events of a type that a reader must be shown, if it is not told that they are gone. */
  between(after: Cursor, last: Cursor, type: string): readonly Cursor[] {
    const all = [...this.#texts].filter(([seq, text]) => seq > after && seq <= last && typeOf(text) === type)
    return all.map(([seq]) => seq)
  }

  #skip(cursor: Cursor, { requested, oldest, head, reason }: Gap, published: Cursor): Cursor {
    expectThat(reason === 'retention' && requested === cursor, `a gap ${reason} at ${cursor} (L3)`)
    expectThat(oldest > cursor + 1, `a gap from ${cursor} to ${oldest} hides nothing (L3)`)
    expectThat(head <= published && oldest <= head + 1, `a gap to ${oldest} of ${head}, beyond ${published} (L4)`)
    expectThat(oldest - 1 <= this.#removable, `a gap hides ${oldest - 1}, which is not old (L3)`)
    return oldest - 1
  }
}

/** Two types of events, told apart by something as random as any. */
export function typeOf(text: string): 'rare' | 'usual' {
  return text.length % 3 === 0 ? 'rare' : 'usual'
}

/** Throws what went wrong: thousands of checks a run, for which `expect` is too slow. */
export function expectThat(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise)
}
