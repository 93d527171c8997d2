import { createHash } from 'node:crypto'
import type { Dialect } from './providers.ts'

type Reader = { readonly dialect: Dialect; readonly provider: string }

/** What a provider takes as the id of a call; the strictest of those that are spoken to in the same way. */
const taken: Readonly<Record<Dialect, RegExp>> = {
  openai_chat: /^[\w-]{1,40}$/,
  openai_responses: /^[\w-]{1,40}$/,
  anthropic: /^[\w-]{1,64}$/,
  google: /^[\w-]{1,64}$/,
  compatible: /^[\w.:-]{1,40}$/,
}

const takenByMistral = /^[a-zA-Z0-9]{9}$/

/**
 * The ids of the calls in one conversation, as its reader takes them: some take a certain form only, and some refuse an
 * id that comes twice. An id that will do stays; another is always replaced in the same way, so that what a provider has cached
 * stays as it was.
 */
export class ToolCallIds {
  readonly #taken: RegExp
  readonly #used = new Set<string>()

  constructor({ dialect, provider }: Reader) {
    this.#taken = provider === 'mistral' ? takenByMistral : taken[dialect]
  }

  /** Asked once for each call, in the order of the conversation. */
  next(id: string): string {
    let found = id
    for (let attempt = 0; !this.#taken.test(found) || this.#used.has(found); attempt++) {
      found = createHash('sha256').update(`${attempt} ${id}`).digest('hex').slice(0, 9)
    }
    this.#used.add(found)
    return found
  }
}
