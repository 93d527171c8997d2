import { setTimeout as delay } from 'node:timers/promises'
import { EventPage } from '../../src/protocol/protocol.ts'
import { framesOf } from '../crash/frames.ts'
import type { Random } from '../crash/random.ts'
import type { SessionDiary } from './session-diary.ts'
import { isAnswer, type Wire } from './wire.ts'

/** One reader of a session's log, over any number of connections and processes. */
export class Reader {
  readonly session: SessionDiary
  /** The last seq that it was shown. */
  #cursor = 0

  constructor(session: SessionDiary) {
    this.session = session
  }

  get cursor(): number {
    return this.#cursor
  }

  /** Reads, leaves in the middle, comes back and reads on, until the session is gone or the server is. */
  async follow(wire: Wire, random: Random, over: AbortSignal): Promise<void> {
    while (!over.aborted && this.session.deletion !== 'told') {
      const there = random.chance(0.2) ? await this.#page(wire, random) : await this.#stream(wire, random)
      if (!there && !over.aborted) await delay(random.between(1, 20))
    }
  }

  /** Answers whether there was anything to read. */
  async #stream(wire: Wire, random: Random): Promise<boolean> {
    const byHeader = random.chance(0.5)
    const path = `/${this.session.id}/events${byHeader ? '' : `?since=${this.#cursor}`}`
    const headers: Record<string, string> =
      byHeader && this.#cursor > 0 ? { 'last-event-id': String(this.#cursor) } : {}
    const body = await wire.open('GET', path, { headers })
    if (isAnswer(body)) {
      if (body.status === 404) this.session.seeGone()
      return false
    }
    const most = random.chance(0.5) ? random.between(1, 300) : Number.POSITIVE_INFINITY
    const before = this.#cursor
    for await (const cursor of record(this.session, body, { cursor: before, most })) this.#cursor = cursor
    return this.#cursor > before
  }

  async #page(wire: Wire, random: Random): Promise<boolean> {
    const query = `since=${this.#cursor}&limit=${random.between(1, 300)}&wait=200ms`
    const headers = { accept: 'application/json' }
    const { status, text } = await wire.send('GET', `/${this.session.id}/events?${query}`, { headers })
    if (status === 404) this.session.seeGone()
    if (status !== 200) return false
    const page = parsed(text)
    if (page === undefined) return false
    if (page.gap !== undefined) throw this.session.complaint(`a page after ${this.#cursor} tells of a gap`)
    for (const { seq, event } of page.events) {
      if (seq !== this.#cursor + 1) throw this.session.complaint(`${seq} came after ${this.#cursor} in a page`)
      this.session.pages.push({ seq, event })
      this.#cursor = seq
    }
    return page.events.length > 0
  }
}

/** An answer may be cut off. */
function parsed(text: string): EventPage | undefined {
  try {
    return EventPage.parse(JSON.parse(text))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/**
 * Takes down what a stream shows, at most so many frames, and yields the seq of each. Without a cursor it may begin
 * anywhere. Complains when it leaves one out or repeats one. Breaks the connection when it leaves.
 */
export async function* record(
  session: SessionDiary,
  body: AsyncIterable<Uint8Array> & { destroy(): unknown },
  from: { readonly cursor?: number; readonly most?: number } = {},
): AsyncGenerator<number, void, void> {
  let { cursor, most = Number.POSITIVE_INFINITY } = from
  const frames = framesOf(body)
  try {
    while (most > 0) {
      const step = await frames.next()
      if (step.done) {
        if (cursor !== undefined) session.showRest(cursor, step.value)
        return
      }
      const { seq } = step.value
      if (cursor !== undefined && seq !== cursor + 1) throw session.complaint(`${seq} came after ${cursor}`)
      session.show(step.value)
      cursor = seq
      most -= 1
      yield seq
    }
  } finally {
    body.destroy()
  }
}
