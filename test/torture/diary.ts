import { FleetDiary } from './fleet-diary.ts'
import { SessionDiary } from './session-diary.ts'

/** All that clients were told about the sessions of one database. Lives outside of the servers and outlives them. */
export class Diary {
  readonly fleet = new FleetDiary()
  readonly #sessions = new Map<string, SessionDiary>()
  /** Titles of sessions that were asked for without an answer. */
  readonly #lost = new Set<string>()
  #names = 0

  get sessions(): readonly SessionDiary[] {
    return [...this.#sessions.values()]
  }

  /** Those that nobody has asked to delete. */
  get alive(): readonly SessionDiary[] {
    return this.sessions.filter(({ deletion }) => deletion === 'no')
  }

  /** A text that was never used before, ends in a digit, and holds nothing that a shell or a URL reads in its own way. */
  name(what: string): string {
    this.#names += 1
    return `${what}-${this.#names}`
  }

  find(id: string): SessionDiary | undefined {
    return this.#sessions.get(id)
  }

  created(id: string, title: string): SessionDiary {
    const session = new SessionDiary(id, title)
    this.#sessions.set(id, session)
    return session
  }

  createdPerhaps(title: string): void {
    this.#lost.add(title)
  }

  /** A session that exists although its creator got no answer; `undefined` when nobody asked for it. */
  found(id: string, title: string): SessionDiary | undefined {
    return this.#lost.delete(title) ? this.created(id, title) : undefined
  }
}
