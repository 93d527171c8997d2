import { FleetEvent, type FleetEventType, type FleetSession, parseFrames } from '../../src/protocol/protocol.ts'
import type { Store } from '../../src/store/store.ts'

/** A client that shows all sessions: it takes a snapshot, then reads on from its cursor, and is cut off now and then. */
export class Dashboard {
  readonly #store: Store
  readonly sessions = new Map<string, FleetSession>()
  readonly told: FleetEventType[] = []
  cursor = 0

  constructor(store: Store) {
    this.#store = store
  }

  /** A page of the snapshot. The first one says where to go on once all are there. */
  draw(limit: number, cursor?: string): string | undefined {
    const { entries, next, head } = this.#store.fleetSessions({ limit, cursor, children: true })
    for (const session of entries) this.sessions.set(session.id, session)
    this.cursor = head
    return next
  }

  /** Reads on; the connection breaks after so many events. Answers how many came. */
  read(most = Number.POSITIVE_INFINITY): number {
    const page = this.#store.fleetEvents(this.cursor)
    const frames = page === undefined ? [] : [...parseFrames(page.text)].slice(0, most)
    for (const { seq, json } of frames) {
      if (seq !== this.cursor + 1) throw new Error(`${seq} came after ${this.cursor}`)
      this.#apply(FleetEvent.parse(JSON.parse(json)))
      this.cursor = seq
    }
    return frames.length
  }

  catchUp(): void {
    while (this.read() > 0);
  }

  get view(): readonly FleetSession[] {
    return [...this.sessions.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  #apply({ type, session }: FleetEvent): void {
    this.told.push(type)
    if (type === 'session_deleted') this.sessions.delete(session.id)
    else this.sessions.set(session.id, session)
  }
}

/** The view of somebody who has just come. */
export function freshView(store: Store): readonly FleetSession[] {
  const fresh = new Dashboard(store)
  for (let next = fresh.draw(7); next !== undefined; ) next = fresh.draw(7, next)
  return fresh.view
}
