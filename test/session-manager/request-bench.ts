import { onTestFinished } from 'vitest'
import { ForeignEvent, parseFrames, type Request } from '../../src/protocol/protocol.ts'
import type { Answer, Question } from '../../src/runtime/runtime.ts'
import { SessionState } from '../../src/session-manager/state/session-state.ts'
import type { Surroundings } from '../../src/session-manager/state/surroundings.ts'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import type { SessionRecord, Store } from '../../src/store/store.ts'
import { session } from '../store/records.ts'
import { sharedSurroundings } from './shared-surroundings.ts'

/** A session of one process, as small as it can be: its state over a store that outlives it. */
export class RequestBench {
  readonly state: SessionState
  readonly store: Store
  readonly defects: unknown[] = []
  readonly #stop = new AbortController()

  static async open(record: Partial<SessionRecord> = {}): Promise<RequestBench> {
    const store = createMemoryStore()
    await store.open()
    onTestFinished(() => store.close())
    const bench = new RequestBench(store, session('s', record), true)
    bench.state.update({})
    await bench.settled()
    return bench
  }

  private constructor(store: Store, record: SessionRecord, isNew: boolean) {
    this.store = store
    const onDefect = (error: unknown) => this.defects.push(error)
    const around: Surroundings = {
      ...sharedSurroundings(store, { recovery: 'resume', ringCapacity: 1024, onDefect }),
      add: () => {
        throw new Error('nothing is added here')
      },
      find: () => undefined,
      peek: () => undefined,
      below: () => [],
    }
    this.state = new SessionState(record, around, () => {}, isNew)
    onTestFinished(() => this.state.requests.close())
  }

  get requests(): SessionState['requests'] {
    return this.state.requests
  }

  /** Asks in the name of a run. */
  ask<Q extends Question>(question: Q, runId = 'r'): Promise<Answer<Q>> {
    return this.requests.ask(question, { id: runId, agent: 'root', signal: this.#stop.signal })
  }

  settled(): Promise<void> {
    return this.state.recorder.settled()
  }

  /** Dies with everything committed; the next process has loaded the session, and taken up nothing yet. */
  async next(): Promise<RequestBench> {
    await this.settled()
    this.requests.close()
    return new RequestBench(this.store, this.store.session('s') ?? session('s'), false)
  }

  /** The same, and a run goes on. */
  async resumed(runId = 'r'): Promise<RequestBench> {
    const bench = await this.next()
    bench.requests.restore(runId, bench.stored)
    return bench
  }

  get stored(): readonly Request[] {
    return this.store.requests('s', 'all')
  }

  /** Stores a request as a process before has left it. */
  async put(request: Request): Promise<void> {
    this.state.recorder.save({ kind: 'request.put', request })
    await this.settled()
  }

  /** Types of everything that was told until now. */
  async told(): Promise<readonly string[]> {
    await this.settled()
    const text = this.store.events('s', 0)?.text ?? ''
    return [...parseFrames(text)].map(({ json }) => ForeignEvent.parse(JSON.parse(json)).type)
  }
}
