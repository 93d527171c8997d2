import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { Gap } from '../../src/protocol/protocol.ts'
import { framesOf } from '../crash/frames.ts'
import type { Random } from '../crash/random.ts'
import type { LogDiary } from './log-diary.ts'
import { isAnswer, type Wire } from './wire.ts'

/** A page of any log. */
const Page = z.object({ events: z.array(z.object({ seq: z.number(), event: z.unknown() })), gap: Gap.optional() })
type Page = z.infer<typeof Page>

/** One reader of a log, over any number of connections and processes. */
export class Reader {
  readonly #log: LogDiary
  /** The last seq that it was shown. */
  #cursor = 0

  constructor(log: LogDiary) {
    this.#log = log
  }

  get cursor(): number {
    return this.#cursor
  }

  /** Reads, leaves in the middle, comes back and reads on, until the log is gone or the server is. */
  async follow(wire: Wire, random: Random, over: AbortSignal): Promise<void> {
    while (!over.aborted && !this.#log.isGone) {
      const there = random.chance(0.2) ? await this.#page(wire, random) : await this.#stream(wire, random)
      if (!there && !over.aborted) await delay(random.between(1, 20))
    }
  }

  /** Answers whether there was anything to read. */
  async #stream(wire: Wire, random: Random): Promise<boolean> {
    const byHeader = this.#cursor > 0 && random.chance(0.5)
    const headers: Record<string, string> = byHeader ? { 'last-event-id': String(this.#cursor) } : {}
    const body = await wire.open('GET', this.#path(byHeader ? [] : [`since=${this.#cursor}`]), { headers })
    if (isAnswer(body)) {
      if (body.status === 404) this.#log.seeGone()
      return false
    }
    const most = random.chance(0.5) ? random.between(1, 300) : Number.POSITIVE_INFINITY
    const before = this.#cursor
    for await (const cursor of record(this.#log, body, { cursor: before, most })) this.#cursor = cursor
    return this.#cursor > before
  }

  async #page(wire: Wire, random: Random): Promise<boolean> {
    const path = this.#path([`since=${this.#cursor}`, `limit=${random.between(1, 300)}`, 'wait=200ms'])
    const { status, text } = await wire.send('GET', path, { headers: { accept: 'application/json' } })
    if (status === 404) this.#log.seeGone()
    if (status !== 200) return false
    const page = parsed(text)
    if (page === undefined) return false
    if (page.gap !== undefined) throw this.#log.complaint(`a page after ${this.#cursor} tells of a gap`)
    for (const { seq, event } of page.events) {
      if (seq !== this.#cursor + 1) throw this.#log.complaint(`${seq} came after ${this.#cursor} in a page`)
      this.#log.pages.push({ seq, event })
      this.#cursor = seq
    }
    return page.events.length > 0
  }

  #path(query: readonly string[]): string {
    const { path, query: own } = this.#log
    return `${path}?${[own, ...query].filter((part) => part !== '').join('&')}`
  }
}

/** An answer may be cut off. */
function parsed(text: string): Page | undefined {
  try {
    return Page.parse(JSON.parse(text))
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
  log: LogDiary,
  body: AsyncIterable<Uint8Array> & { destroy(): unknown },
  from: { readonly cursor?: number; readonly most?: number } = {},
): AsyncGenerator<number, void, void> {
  let { cursor, most = Number.POSITIVE_INFINITY } = from
  const frames = framesOf(body)
  try {
    while (most > 0) {
      const step = await frames.next()
      if (step.done) {
        if (cursor !== undefined) log.showRest(cursor, step.value)
        return
      }
      const { seq } = step.value
      if (cursor !== undefined && seq !== cursor + 1) throw log.complaint(`${seq} came after ${cursor}`)
      log.show(step.value)
      cursor = seq
      most -= 1
      yield seq
    }
  } finally {
    body.destroy()
  }
}
