import { Refusal } from '../../src/protocol/protocol.ts'
import type { Group, Store } from '../../src/store/store.ts'

/** `refused`: the write does not happen. `unknown`: it happens, and fails for its caller all the same. */
export type Fault = 'refused' | 'unknown'

type Reads = Pick<
  Store,
  | 'session'
  | 'sessions'
  | 'children'
  | 'titles'
  | 'items'
  | 'run'
  | 'runs'
  | 'unfinishedRuns'
  | 'inputs'
  | 'input'
  | 'waitingSessions'
  | 'allInputs'
  | 'requests'
  | 'request'
  | 'findRequests'
  | 'key'
> &
  Pick<Store, 'bounds' | 'events' | 'health' | 'fleetSession' | 'fleetSessions' | 'fleetBounds' | 'fleetEvents'>

/**
 * What one process sees of a store that outlives it: a real store, open before and after, whose writes can be held back,
 * fail, or be lost with the process.
 */
export class FaultStore implements Store {
  readonly real: Store
  readonly #faults: Fault[] = []
  #held: (() => void)[] | undefined
  #isHeld: (group: Group) => boolean = () => true
  #dead = false
  #readFault = false
  #isFull = false
  /** False while the store says that nothing can be written. */
  connected = true
  pressure: Promise<void> | undefined
  readonly failed = new Promise<never>(() => {})

  constructor(real: Store) {
    this.real = real
  }

  /** The writes to come fail, one each. */
  fail(...faults: readonly Fault[]): void {
    this.#faults.push(...faults)
  }

  /** The writes to come succeed. */
  heal(): void {
    this.#faults.length = 0
    this.fill(false)
  }

  /** The disk is full from now on, or no longer: no write succeeds, and the store says so. */
  fill(isFull: boolean): void {
    this.#isFull = isFull
    this.connected = !isFull
  }

  /** Reads fail from now on, or no longer. */
  failReads(fail: boolean): void {
    this.#readFault = fail
  }

  /** Writes wait from now on: all, or those of one session. */
  hold(sessionId?: string): void {
    this.#held ??= []
    this.#isHeld = (group) => sessionId === undefined || group.session_id === sessionId
  }

  /** What waits is written. */
  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const write of held) write()
  }

  get waiting(): number {
    return this.#held?.length ?? 0
  }

  /** The process dies: what waits is lost, nothing is answered any more. Resolves when the rest is committed. */
  async crash(): Promise<void> {
    this.#dead = true
    this.#held = []
    await this.real.flush()
  }

  write(group: Group): Promise<void> {
    if (this.#dead) return new Promise(() => {})
    const written = Promise.withResolvers<void>()
    const write = (): void => this.#write(group, written)
    if (this.#held !== undefined && this.#isHeld(group)) this.#held.push(write)
    else write()
    return written.promise
  }

  #write(group: Group, { resolve, reject }: PromiseWithResolvers<void>): void {
    const fault = this.#isFull ? 'refused' : this.#faults.shift()
    const refusal = new Refusal('store_unavailable', undefined, { retryAfter: 1 })
    if (fault === 'refused') {
      reject(refusal)
      return
    }
    const answer = (settle: () => void) => () => {
      if (!this.#dead) settle()
    }
    this.real.write(group).then(
      answer(() => (fault === 'unknown' ? reject(refusal) : resolve())),
      (failure: unknown) => answer(() => reject(failure))(),
    )
  }

  async open(): Promise<void> {}

  session: Reads['session'] = (id) => this.#reads.session(id)
  sessions: Reads['sessions'] = (filter) => this.#reads.sessions(filter)
  children: Reads['children'] = (id) => this.#reads.children(id)
  titles: Reads['titles'] = (prefix) => this.#reads.titles(prefix)
  items: Reads['items'] = (id, range) => this.#reads.items(id, range)
  run: Reads['run'] = (id, run) => this.#reads.run(id, run)
  runs: Reads['runs'] = (id, page) => this.#reads.runs(id, page)
  unfinishedRuns: Reads['unfinishedRuns'] = () => this.#reads.unfinishedRuns()
  inputs: Reads['inputs'] = (id) => this.#reads.inputs(id)
  waitingSessions: Reads['waitingSessions'] = () => this.#reads.waitingSessions()
  input: Reads['input'] = (id, input) => this.#reads.input(id, input)
  allInputs: Reads['allInputs'] = (id, page) => this.#reads.allInputs(id, page)
  requests: Reads['requests'] = (id, which) => this.#reads.requests(id, which)
  request: Reads['request'] = (id, request) => this.#reads.request(id, request)
  findRequests: Reads['findRequests'] = (filter) => this.#reads.findRequests(filter)
  key: Reads['key'] = (scope, key) => this.#reads.key(scope, key)
  bounds: Reads['bounds'] = (id) => this.#reads.bounds(id)
  events: Reads['events'] = (id, after) => this.#reads.events(id, after)
  fleetSession: Reads['fleetSession'] = (id) => this.#reads.fleetSession(id)
  fleetSessions: Reads['fleetSessions'] = (filter) => this.#reads.fleetSessions(filter)
  fleetBounds: Reads['fleetBounds'] = () => this.#reads.fleetBounds()
  fleetEvents: Reads['fleetEvents'] = (after) => this.#reads.fleetEvents(after)
  health: Reads['health'] = () =>
    this.connected ? this.real.health() : { connected: false, error: 'the disk that holds the database is full' }

  flush(): Promise<void> {
    return this.real.flush()
  }

  retain(policy: Parameters<Store['retain']>[0]): Promise<number> {
    return this.real.retain(policy)
  }

  retainFleet(policy: Parameters<Store['retainFleet']>[0]): Promise<number> {
    return this.real.retainFleet(policy)
  }

  thin(before: string): Promise<number> {
    return this.real.thin(before)
  }

  forgetRecords(before: string): Promise<number> {
    return this.real.forgetRecords(before)
  }

  forgetKeys(before: string): Promise<number> {
    return this.real.forgetKeys(before)
  }

  /** The real store stays open for the process that comes next. */
  close(): Promise<void> {
    return this.real.flush()
  }

  get #reads(): Store {
    if (this.#dead || this.#readFault) throw new Refusal('store_unavailable', undefined, { retryAfter: 1 })
    return this.real
  }
}
