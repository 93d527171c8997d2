import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createSessionLog, type EventLog } from '../../src/event-log/event-log.ts'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import { createSqliteStore } from '../../src/store/sqlite-store.ts'
import type { Store } from '../../src/store/store.ts'
import { eventLogContract } from '../contracts/event-log.contract.ts'
import { makeTempDir } from '../store/temp-dir.ts'
import { allOf, logInStore, options, pagesOf, type RingLimits, said, shown, tell } from './log-under-test.ts'

const small: RingLimits = { events: 3, bytes: 1000 }
const large: RingLimits = { events: 10_000, bytes: 64 * 1024 * 1024 }

/** The contract over logs in one store, each of a session of its own. */
function contractIn(name: string, store: Store, ring: RingLimits): void {
  let logs = 0
  eventLogContract(name, () => {
    logs += 1
    return logInStore(store, ring, `${name} ${logs}`)
  })
}

describe('over a memory store', () => {
  const store = createMemoryStore()
  beforeAll(() => store.open())
  afterAll(() => store.close())
  contractIn('the session log with a small ring', store, small)
  contractIn('the session log with a large ring', store, large)
})

describe('over a SQLite store', () => {
  const { path, remove } = makeTempDir()
  const store = createSqliteStore({ path: join(path, 'test.db') })
  beforeAll(() => store.open())
  afterAll(() => store.close().then(remove))
  contractIn('the session log with a small ring', store, small)
})

/** A log that notes after which cursors it asks its journal. */
async function watchedLog(ring: RingLimits): Promise<{ log: EventLog; tell: Tell; asked: number[]; store: Store }> {
  const store = createMemoryStore()
  await store.open()
  onTestFinished(() => store.close())
  const stored = await logInStore(store, ring)
  const asked: number[] = []
  const log = createSessionLog(
    {
      bounds: () => store.bounds('log'),
      read: (after) => {
        asked.push(after)
        return store.events('log', after)
      },
    },
    ring,
  )
  return { log, asked, store, tell: (...texts) => tell({ ...stored, log, commit: () => commit(store, log) }, ...texts) }
}

type Tell = (...texts: readonly string[]) => Promise<number>

async function commit(store: Store, log: EventLog): Promise<number> {
  const at = new Date().toISOString()
  const changes = log.drain().map((segment) => ({ kind: 'events.append' as const, at, segment }))
  await store.write({ session_id: 'log', changes })
  return log.head
}

describe('the ring of a session log', () => {
  it('answers for the newest events, and the journal for the older ones', async () => {
    const { log, tell, asked } = await watchedLog({ events: 4, bytes: 1_000_000 })
    for (const text of ['a', 'b', 'c', 'd', 'e', 'f']) await tell(text)
    expect(await allOf(log, { since: 2 })).toEqual(['3 c', '4 d', '5 e', '6 f'])
    expect(asked).toEqual([])
    expect(await allOf(log, { since: 1 })).toEqual(['2 b', '3 c', '4 d', '5 e', '6 f'])
    expect(asked).toEqual([1])
  })

  it('drops by bytes as well as by events', async () => {
    const { log, tell, asked } = await watchedLog({ events: 100, bytes: 2500 })
    for (let at = 0; at < 4; at += 1) await tell('x'.repeat(1000))
    await pagesOf(log, { since: 2 })
    expect(asked).toEqual([])
    await pagesOf(log, { since: 1 })
    expect(asked).toEqual([1])
  })

  it('holds the newest commit whole, however large it is', async () => {
    const { log, tell, asked } = await watchedLog({ events: 2, bytes: 100 })
    await tell('old')
    await tell(...Array.from({ length: 500 }, (_, at) => `${at}`.padEnd(1000, '.')))
    expect((await pagesOf(log, { since: 1 })).flatMap(shown)).toHaveLength(500)
    expect(asked).toEqual([])
    await tell('new')
    expect((await pagesOf(log, { since: 1 })).flatMap(shown)).toHaveLength(501)
    expect(asked).not.toEqual([])
  })

  it('holds what is not committed yet', async () => {
    const { log, tell, asked } = await watchedLog({ events: 1, bytes: 1 })
    await tell('a')
    for (const text of ['b', 'c', 'd']) log.append(said(text))
    const meanwhile = tell('e')
    expect(await allOf(log, { since: 1 })).toEqual([])
    await meanwhile
    expect(await allOf(log, { since: 1 })).toEqual(['2 b', '3 c', '4 d', '5 e'])
    expect(asked).toEqual([])
  })

  it('makes pages of at most 256 events', async () => {
    const { log, tell, asked } = await watchedLog({ events: 1000, bytes: 1_000_000 })
    await tell(...Array.from({ length: 600 }, () => 'x'))
    const pages = await pagesOf(log)
    expect(pages.map((page) => shown(page).length)).toEqual([256, 256, 88])
    expect(asked).toEqual([])
  })

  it('gives a reader what it still has when the session is deleted, after a gap', async () => {
    const { log, tell, store } = await watchedLog({ events: 1, bytes: 1 })
    for (const text of ['a', 'b', 'c']) await tell(text)
    const tail = log.read(options({ since: 0, follow: true }))
    log.append(said('session_exited'))
    log.drain()
    await store.write({ session_id: 'log', changes: [{ kind: 'session.delete' }] })
    const early = log.read(options({ since: 1, follow: true }))
    expect((await early.next()).value).toMatchObject({ kind: 'gap', gap: { requested: 1 } })
    log.publish(4)
    log.close()
    expect((await Array.fromAsync(early)).flatMap(shown).at(-1)).toMatchObject({ seq: 4 })
    const [gap, ...rest] = (await Array.fromAsync(tail)).flatMap(shown)
    expect(gap).toMatchObject({ gap: { requested: 0, reason: 'retention' } })
    expect(rest).toMatchObject([{ seq: 4 }])
  })

  it('shows nothing that the journal holds beyond what is published (L4)', async () => {
    const { log, tell, store } = await watchedLog({ events: 1, bytes: 1 })
    for (const text of ['a', 'b', 'c']) await tell(text)
    for (const text of ['d', 'e']) log.append(said(text))
    await commit(store, log)
    await store.retain({ before: '1970-01-01T00:00:00Z', keep: 2 })
    expect(store.bounds('log')).toEqual({ oldest: 4, head: 5 })
    expect(await allOf(log, { since: 3 })).toEqual([])
    expect(await allOf(log, { since: 1 })).toMatchObject([{ type: 'gap', requested: 1, reason: 'retention' }])
    log.publish(5)
    expect(await allOf(log, { since: 3 })).toEqual(['4 d', '5 e'])
  })
})
