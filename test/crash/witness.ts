import { SessionWitness } from './session-witness.ts'

/** All that clients were told about the sessions of one database. Lives outside the server and outlives it. */
export class Witness {
  /** What was told over all sessions. */
  readonly fleet = new SessionWitness('', '')
  readonly #sessions = new Map<string, SessionWitness>()
  /** Titles of sessions that were asked for without an answer. */
  readonly #lost = new Set<string>()
  #names = 0

  get sessions(): readonly SessionWitness[] {
    return [...this.#sessions.values()]
  }

  /** Those that nobody has asked to delete. */
  get alive(): readonly SessionWitness[] {
    return this.sessions.filter(({ deletion }) => deletion === 'no')
  }

  /** A text that was never used before and is part of no other. */
  name(what: string): string {
    this.#names += 1
    return `${what} #${this.#names};`
  }

  find(id: string): SessionWitness | undefined {
    return this.#sessions.get(id)
  }

  created(id: string, title: string): SessionWitness {
    const session = new SessionWitness(id, title)
    this.#sessions.set(id, session)
    return session
  }

  createdPerhaps(title: string): void {
    this.#lost.add(title)
  }

  /** A session that exists although its creator got no answer; `undefined` when nobody asked for it, or it was found before. */
  found(id: string, title: string): SessionWitness | undefined {
    return this.#lost.delete(title) ? this.created(id, title) : undefined
  }
}
