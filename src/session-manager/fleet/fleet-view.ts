import { createStoredLog, type LogPage, type StoredLog } from '../../event-log/event-log.ts'
import type { Request } from '../../protocol/protocol.ts'
import type { FleetFilter, FleetSessions, Page, RequestFilter, Store } from '../../store/store.ts'
import type { Lifecycle } from '../directory/lifecycle.ts'
import { type FleetReadOptions, shownInFleet } from './fleet-filter.ts'

/** What is told over all sessions. */
export function fleetLog(store: Store): StoredLog {
  return createStoredLog({ bounds: () => store.fleetBounds(), read: (after) => store.fleetEvents(after) })
}

/** Shows all sessions at once, as they are stored. */
export class FleetView {
  readonly #store: Store
  readonly #log: StoredLog
  readonly #life: Lifecycle

  constructor(store: Store, log: StoredLog, life: Lifecycle) {
    this.#store = store
    this.#log = log
    this.#life = life
  }

  /** Where the log over all sessions ends. */
  get head(): number {
    this.#life.needStarted()
    return this.#log.bounds().head
  }

  /** Reads what is told over all sessions; without `since`, what comes next. */
  read(options: FleetReadOptions): AsyncGenerator<LogPage, void, void> {
    this.#life.needStarted()
    return this.#log.read({ ...options, where: shownInFleet(options) })
  }

  sessions(filter: FleetFilter): FleetSessions {
    this.#life.needStarted()
    return this.#store.fleetSessions(filter)
  }

  requests(filter: RequestFilter): Page<Request> {
    this.#life.needStarted()
    return this.#store.findRequests(filter)
  }
}
