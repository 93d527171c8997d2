import type { Answer, Outcome } from './client.ts'
import { BadStream, eventOf, type Frame } from './frames.ts'

/** A request that can be repeated. */
export interface Keyed {
  readonly path: string
  readonly body: unknown
  readonly key: string
}

/** Something that was said to a session. Its text is unlike every other text. */
export interface Said {
  readonly kind: 'run' | 'steer' | 'followup'
  readonly text: string
  readonly keyed?: Keyed | undefined
  outcome: Outcome
  /** What the client was answered: the status, and the body. */
  answer: string
}

/** What a snapshot told: where the log was, and what was being said. */
export interface Told {
  readonly seq: number
  readonly partial: string
}

/** All that clients were told about one session. */
export class SessionWitness {
  readonly id: string
  readonly said: Said[] = []
  readonly runs: { readonly run_id: string; readonly first_seq: number }[] = []
  readonly snapshots: Told[] = []
  /** Beginnings of frames whose rest the crash took. */
  readonly torn: Frame[] = []
  /** `asked` without an answer leaves open whether it is gone. */
  deletion: 'no' | 'asked' | 'told' = 'no'
  /** Somebody asked for a stop of whatever ran. */
  stopAsked = false
  /** The title that was told last, and then those that were set without an answer. */
  #titles: readonly string[]
  #retitling = false
  readonly #frames = new Map<number, string>()

  constructor(id: string, title: string) {
    this.id = id
    this.#titles = [title]
  }

  /** Takes down a frame that somebody was shown; throws when somebody was shown another one under its seq. */
  show(frame: Frame): void {
    const before = this.#frames.get(frame.seq)
    if (before !== undefined && before !== frame.bytes) {
      throw new BadStream(`session ${this.id}: seq ${frame.seq} was ${before} and is ${frame.bytes}`)
    }
    this.#frames.set(frame.seq, frame.bytes)
    if (eventOf(frame).type === 'session_exited') this.deletion = 'told'
  }

  /** Takes down how a stream broke off after a cursor. */
  showRest(cursor: number, rest: string): void {
    if (rest.startsWith('id: ')) this.torn.push({ seq: cursor + 1, bytes: rest })
  }

  get frames(): ReadonlyMap<number, string> {
    return this.#frames
  }

  /** The titles that the session may have. */
  get titles(): readonly string[] {
    return this.#titles
  }

  /** Sets a title with a request, one at a time, because two at once would leave open which one stays. */
  async retitle(title: string, request: () => Promise<Answer>): Promise<void> {
    if (this.#retitling) return
    this.#retitling = true
    const before = this.#titles
    this.#titles = [...before, title]
    const { outcome } = await request()
    if (outcome !== 'unknown') this.#titles = outcome === 'accepted' ? [title] : before
    this.#retitling = false
  }

  /** A title that a read has shown is the one from now on. */
  seeTitle(title: string): void {
    this.#titles = [title]
  }

  /** Says something with a request, and takes down how that came out. */
  async say(said: Pick<Said, 'kind' | 'text' | 'keyed'>, request: () => Promise<Answer>): Promise<void> {
    const entry: Said = { ...said, outcome: 'unknown', answer: '' }
    this.said.push(entry)
    const { outcome, status, text } = await request()
    entry.outcome = outcome
    entry.answer = `${status} ${text}`
  }

  /** Deletes it with a request. */
  async delete(request: () => Promise<Answer>): Promise<void> {
    if (this.deletion === 'no') this.deletion = 'asked'
    const { outcome } = await request()
    if (outcome === 'accepted') this.deletion = 'told'
  }

  /** Somebody was told that it is gone; throws when nobody has asked for that. */
  seeGone(): void {
    if (this.deletion === 'no') throw new Error(`session ${this.id} is unknown, but nobody deleted it`)
    this.deletion = 'told'
  }
}
