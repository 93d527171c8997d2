import { type Client, isAnswer } from './client.ts'
import { BadStream, eventOf, framesOf } from './frames.ts'
import type { Random } from './random.ts'
import type { SessionWitness } from './session-witness.ts'

/** One reader of a session's log, or of what is told over all sessions, over any number of connections and processes. */
export class Reader {
  readonly session: SessionWitness
  /** The last seq that it was shown. */
  #cursor = 0

  constructor(session: SessionWitness) {
    this.session = session
  }

  get cursor(): number {
    return this.#cursor
  }

  get #path(): string {
    return this.session.id === '' ? '/events?children=true' : `/${this.session.id}/events`
  }

  /** Reads, leaves in the middle, comes back and reads on, until the session is gone or the server is. */
  async follow(client: Client, random: Random): Promise<void> {
    for (;;) {
      const body = await client.stream('GET', this.#path, { headers: { 'last-event-id': String(this.#cursor) } })
      if (isAnswer(body)) return
      const most = random.chance(0.5) ? random.between(1, 400) : Number.POSITIVE_INFINITY
      this.#cursor = await record(this.session, body, { cursor: this.#cursor, most })
      if (this.session.deletion === 'told') return
    }
  }
}

/**
 * Takes down what a stream shows, at most so many frames. Without a cursor it may begin anywhere. Resolves with the last seq;
 * throws when it leaves one out or repeats one.
 */
export async function record(
  session: SessionWitness,
  body: AsyncIterable<Uint8Array>,
  from: { readonly cursor?: number; readonly most?: number } = {},
): Promise<number> {
  let { cursor, most = Number.POSITIVE_INFINITY } = from
  const frames = framesOf(body)
  for (;;) {
    const step = await frames.next()
    if (step.done) {
      if (cursor !== undefined) session.showRest(cursor, step.value)
      return cursor ?? 0
    }
    const { seq } = step.value
    if (cursor !== undefined && seq !== cursor + 1) {
      throw new BadStream(`session ${session.id}: ${seq} came after ${cursor}: ${JSON.stringify(eventOf(step.value))}`)
    }
    session.show(step.value)
    cursor = seq
    most -= 1
    if (most <= 0) {
      await frames.return('')
      return cursor
    }
  }
}
