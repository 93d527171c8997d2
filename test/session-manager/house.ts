import { join } from 'node:path'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import type { LogPage } from '../../src/event-log/event-log.ts'
import {
  type ErrorCode,
  Event,
  type EventType,
  ForeignEvent,
  type Message,
  parseFrames,
  Refusal,
} from '../../src/protocol/protocol.ts'
import {
  SessionManager,
  type SessionManagerOptions,
  type TakenUpRuns,
} from '../../src/session-manager/session-manager.ts'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import { createSqliteStore } from '../../src/store/sqlite-store.ts'
import type { Store } from '../../src/store/store.ts'
import { patience } from '../patience.ts'
import { makeTempDir } from '../store/temp-dir.ts'
import { FaultStore } from './fault-store.ts'
import { echo, Puppet, TestAgents, type TestSources } from './test-agents.ts'

export { patience }

/** What the tests of the manager run over. */
export const backends = [{ over: 'memory' }, { over: 'SQLite' }] as const
export type Backend = (typeof backends)[number]

/** A manager with what stands behind it. */
export interface House {
  readonly manager: SessionManager
  /** What became of the runs that the process before has left. */
  readonly taken: TakenUpRuns
  readonly store: FaultStore
  readonly agents: TestAgents
  readonly puppet: Puppet
  /** Everything that `onDefect` was told. */
  readonly defects: unknown[]
  /** The process dies, and what it had not committed with it; the next one starts, with other options if some are given. */
  crash(more?: Options): Promise<House>
  /** The process ends in order; the next one starts. */
  restart(): Promise<House>
}

type Options = Partial<Omit<SessionManagerOptions, 'store' | 'agents' | 'onDefect'>> & {
  readonly sources?: TestSources
  readonly puppet?: Puppet
}

/** One store for all tests of a group; each test gets managers over it. */
export function useStore({ over }: Backend): (options?: Options) => Promise<House> {
  let real: Store | undefined
  let remove = (): void => {}
  beforeAll(async () => {
    if (over === 'memory') real = createMemoryStore()
    else {
      const dir = makeTempDir()
      remove = dir.remove
      real = createSqliteStore({ path: join(dir.path, 'test.db') })
    }
    await real.open()
  })
  afterAll(async () => {
    await real?.close()
    remove()
  })
  return (options = {}) => {
    if (real === undefined) throw new Error('the store is not open yet')
    return build(real, options)
  }
}

/** A manager of a new process over a store that is open. */
export async function build(real: Store, options: Options = {}): Promise<House> {
  const { sources = {}, puppet = new Puppet({ models: ['fast', 'clever'] }), ...more } = options
  const store = new FaultStore(real)
  const defects: unknown[] = []
  const agents = new TestAgents({ hand: { root: puppet }, chat: { root: echo }, ...sources })
  const manager = new SessionManager({
    recovery: 'interrupt',
    recoveryDelayMs: 0,
    recoveryTrialMs: 0,
    ...more,
    store,
    agents,
    onDefect: (error) => defects.push(error),
  })
  const taken = await manager.start()
  let alive = true
  onTestFinished(async () => {
    if (alive) await manager.close()
  })
  const next = (more: Options = {}): Promise<House> =>
    build(real, { ...options, puppet: new Puppet({ models: puppet.models }), ...more })
  return {
    manager,
    taken,
    store,
    agents,
    puppet,
    defects,
    async crash(more) {
      alive = false
      await store.crash()
      return next(more)
    },
    async restart() {
      alive = false
      await manager.close()
      return next()
    },
  }
}

/** A seed for a property, printed so that a failure can be had again with `SEED` in the environment. */
export function newSeed(property: string): number {
  const seed = Number(process.env.SEED ?? Date.now() % 0x7fffffff)
  console.log(`${property}: SEED=${seed}`)
  return seed
}

/** A session with a run that its puppet has begun. */
export async function running({ manager, puppet }: House, text = 'begin') {
  const { id } = await manager.createSession()
  const { run } = await manager.runSession(id, { source: 'hand' }, { messages: [{ content: text }] })
  return { id, runId: run.run_id, run: await puppet.next() }
}

/** A session that has run and is idle. */
export async function rested(house: House): Promise<string> {
  const { id, run } = await running(house)
  await run.end()
  await house.manager.waitStopped(id, patience)
  return id
}

export interface Entry {
  readonly seq: number
  readonly event: ForeignEvent
}

/** The whole log of a session as it is now. */
export async function readLog(manager: SessionManager, id: string, since?: number): Promise<readonly Entry[]> {
  const signal = new AbortController().signal
  return collect(await manager.streamEvents(id, { since, follow: false, signal }))
}

export async function collect(pages: AsyncIterable<LogPage>): Promise<readonly Entry[]> {
  const entries: Entry[] = []
  for await (const page of pages) entries.push(...entriesOf(page))
  return entries
}

export function entriesOf(page: LogPage): readonly Entry[] {
  if (page.kind === 'gap') return [{ seq: -1, event: page.gap }]
  return [...parseFrames(page.data.toString())].map(({ seq, json }) => ({
    seq,
    event: ForeignEvent.parse(JSON.parse(json)),
  }))
}

/** The events of one type, checked. */
export function eventsOf<Type extends EventType>(
  entries: readonly Entry[],
  type: Type,
): Extract<Event, { type: Type }>[] {
  return entries.flatMap(({ event }) => {
    if (event.type !== type) return []
    const parsed = Event.parse(event)
    return isOf(parsed, type) ? [parsed] : []
  })
}

function isOf<Type extends EventType>(event: Event, type: Type): event is Extract<Event, { type: Type }> {
  return event.type === type
}

/** Reads a log on until an event of a type has come. */
export async function follow(manager: SessionManager, id: string, type: EventType, since?: number): Promise<Entry> {
  const leave = new AbortController()
  for await (const page of await manager.streamEvents(id, { since, follow: true, signal: leave.signal })) {
    const found = entriesOf(page).find(({ event }) => event.type === type)
    if (found !== undefined) {
      leave.abort()
      return found
    }
  }
  throw new Error(`the log ended without ${type}`)
}

export function typesOf(entries: readonly Entry[]): readonly string[] {
  return entries.map(({ event }) => event.type)
}

export function texts(messages: readonly Message[] | null | undefined): readonly string[] {
  return (messages ?? []).map(({ message }) => message.content)
}

/** The code that a refused call is refused with; `undefined` when it is not refused. */
export async function codeOf(call: Promise<unknown> | (() => unknown)): Promise<ErrorCode | undefined> {
  try {
    await (typeof call === 'function' ? call() : call)
    return undefined
  } catch (refusal) {
    if (refusal instanceof Refusal) return refusal.code
    throw refusal
  }
}
