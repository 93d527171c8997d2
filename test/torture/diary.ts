import { FleetDiary } from './fleet-diary.ts'
import { SessionDiary } from './session-diary.ts'

/** A session that was asked for without an answer. */
interface Lost {
  readonly title: string
  readonly key: string | undefined
}

/** All that clients were told about the sessions of one database. Lives outside of the servers and outlives them. */
export class Diary {
  readonly fleet = new FleetDiary()
  readonly #sessions = new Map<string, SessionDiary>()
  /** Sessions that were asked for without an answer, by their titles. */
  readonly #lost = new Map<string, Lost>()
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
    const known = this.#sessions.get(id)
    if (known !== undefined) return known
    const session = new SessionDiary(id, title)
    this.#sessions.set(id, session)
    return session
  }

  createdPerhaps(lost: Lost): void {
    this.#lost.set(lost.title, lost)
  }

  /** A session that may be asked for again; it is lost no more. */
  takeLost(): Lost | undefined {
    const lost = [...this.#lost.values()].find(({ key }) => key !== undefined)
    if (lost !== undefined) this.#lost.delete(lost.title)
    return lost
  }

  /** A session that exists although its creator got no answer; `undefined` when nobody asked for it. */
  found(id: string, title: string): SessionDiary | undefined {
    return this.#lost.delete(title) ? this.created(id, title) : undefined
  }
}
