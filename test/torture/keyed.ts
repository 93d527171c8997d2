import type { SessionDiary } from './session-diary.ts'
import type { Answer } from './wire.ts'

interface KeyedOptions {
  /** Method and path below the session. */
  readonly what: string
  /** How the first one came out. */
  readonly first: Answer
  send(): Promise<Answer>
  /** Takes down how it came out, as far as it is known by now. */
  hear?(answer: Answer): void
}

/** A request that was named with a key, and may be sent again. */
export class Keyed {
  readonly #options: KeyedOptions
  #known: Answer
  #busy = false

  constructor(options: KeyedOptions) {
    this.#options = options
    this.#known = options.first
  }

  /**
   * Sends it again, as a client does that has lost its server or its patience, and complains when that is more than the same
   * answer. What was refused may be carried out now; what nobody has answered may be on its way for ever.
   */
  async repeat(session: SessionDiary): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    const { what, send, hear } = this.#options
    const before = this.#known
    if (before.outcome === 'refused') hear?.({ ...before, outcome: 'unknown' })
    const answer = await send()
    session.note(`repeat of ${what}: ${answer.status} ${answer.text}`)
    if (before.outcome === 'accepted') this.#compare(session, before, answer)
    else if (before.outcome === 'refused' || answer.outcome === 'accepted') {
      this.#known = answer
      hear?.(answer)
    }
    this.#busy = false
  }

  #compare(session: SessionDiary, before: Answer, answer: Answer): void {
    const { what } = this.#options
    if (answer.outcome === 'unknown' || answer.status === 503 || isRepeated(what, before, answer)) return
    throw session.complaint(
      `${what} was answered ${before.status} ${before.text}, and then ${answer.status} ${answer.text}`,
    )
  }
}

/** Whether an answer is what the repeat of an accepted request gets. An answer may be cut off. */
function isRepeated(what: string, before: Answer, { status, text, replayed }: Answer): boolean {
  // Both look at the session, which may be gone.
  if (status === 404) return what.startsWith('POST /cancel') || what.startsWith('POST /agent')
  if (replayed !== true) return false
  if (what.startsWith('POST /cancel')) return true
  if (what.startsWith('DELETE ')) return true
  if (what.startsWith('POST /followup')) return text === '' || text.includes('"duplicate":true')
  return before.text.startsWith(text) || text.startsWith(before.text)
}
