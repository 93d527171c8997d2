import type { LiveSession } from '../live-session.ts'
import { settledWithin } from '../wait.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { SessionMap } from './session-map.ts'

/** How long a command waits for a session whose commit has failed to be loaded again. */
const lostMs = 1000

/** Opens the session that a command is about, and keeps it loaded meanwhile. Throws `Refusal('unknown_session')`. */
export class SessionVisits {
  readonly #sessions: SessionMap
  readonly #life: Lifecycle
  readonly #used = Promise.withResolvers<void>()

  constructor(sessions: SessionMap, life: Lifecycle) {
    this.#sessions = sessions
    this.#life = life
  }

  /** Resolves when the first session of this process was created, attached or run. */
  get used(): Promise<void> {
    return this.#used.promise
  }

  /** A session is in use. */
  noteUse(): void {
    this.#used.resolve()
  }

  async visit<T>(id: string, work: (session: LiveSession) => T | Promise<T>): Promise<T> {
    this.#life.needStarted()
    const session = this.#sessions.open(id)
    if (!session.isLost) return session.visit(work)
    await settledWithin(session.left(), lostMs)
    // A session that is loaded after the end of the others would be left to nobody.
    this.#life.needStarted()
    return this.#sessions.open(id).visit(work)
  }

  /** A visit that runs the session, or attaches something to it. */
  use<T>(id: string, work: (session: LiveSession) => T | Promise<T>): Promise<T> {
    return this.visit(id, async (session) => {
      const done = await work(session)
      this.noteUse()
      return done
    })
  }

  /** Reads a session as it is now, and tells it when that is committed. */
  read<T>(id: string, read: (session: LiveSession) => T): Promise<T> {
    return this.visit(id, async (session) => {
      const value = read(session)
      await session.settled()
      return value
    })
  }

  /** Reads what is stored of a session, once everything that was decided is. */
  settled<T>(id: string, read: () => T): Promise<T> {
    return this.visit(id, async (session) => {
      await session.settled()
      return read()
    })
  }
}
