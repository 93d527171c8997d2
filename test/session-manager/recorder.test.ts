import { setImmediate as tick } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createSessionLog } from '../../src/event-log/event-log.ts'
import type { Cursor } from '../../src/protocol/protocol.ts'
import { Recorder } from '../../src/session-manager/state/recorder.ts'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import type { Change, Group, Store } from '../../src/store/store.ts'
import { allOf, options, said, shown } from '../event-log/log-under-test.ts'
import { input, item, key, putSession, request, run, session } from '../store/records.ts'
import { FaultStore } from './fault-store.ts'

/** Keeps what it was handed over. */
class WatchedStore extends FaultStore {
  readonly groups: Group[] = []

  override write(group: Group): Promise<void> {
    this.groups.push(group)
    return super.write(group)
  }

  /** What each group was, in short. */
  get kinds(): readonly string[] {
    return this.groups.map(({ changes }) => changes.map(({ kind }) => kind).join(' '))
  }
}

async function desk(id = 's') {
  const real: Store = createMemoryStore()
  await real.open()
  onTestFinished(() => real.close())
  await real.write({ session_id: id, changes: [putSession(session(id))] })
  const store = new WatchedStore(real)
  const journal = { bounds: () => real.bounds(id), read: (after: Cursor) => real.events(id, after) }
  const log = createSessionLog(journal, { events: 100, bytes: 100_000 })
  const losses: unknown[] = []
  const recorder = new Recorder(id, log, store, (cause) => losses.push(cause))
  return { real, store, log, recorder, losses }
}

const refusal = { name: 'Refusal', code: 'store_unavailable' }

describe('recording', () => {
  it('puts the session, the run and the time into the envelope of an event', async () => {
    const { recorder, log } = await desk()
    recorder.event({ type: 'warning', message: 'w' })
    recorder.event({ type: 'stream_started', agent_name: 'root' }, 'run-1')
    await recorder.settled()
    const pages = await Array.fromAsync(log.read(options()))
    const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/)
    expect(pages.flatMap(shown)).toEqual([
      { seq: 1, event: { type: 'warning', message: 'w', session_id: 's', timestamp } },
      {
        seq: 2,
        event: { type: 'stream_started', agent_name: 'root', session_id: 's', run_id: 'run-1', timestamp },
      },
    ])
  })

  it('leaves an event as it is that comes complete from outside', async () => {
    const { recorder, log } = await desk()
    expect(recorder.foreignEvent({ type: 'theirs', run_id: 7, deep: { a: [null] } })).toBe(1)
    await recorder.settled()
    const [page] = await Array.fromAsync(log.read(options()))
    expect(page && shown(page)).toEqual([{ seq: 1, event: { type: 'theirs', run_id: 7, deep: { a: [null] } } }])
  })
})

describe('groups', () => {
  it('writes what one tick decides as one group, records and events together', async () => {
    const { recorder, store, real } = await desk()
    recorder.foreignEvent(said('a'))
    recorder.save({ kind: 'run.put', run: run('s', 'r') })
    recorder.foreignEvent(said('b'))
    await recorder.settled()
    expect(store.kinds).toEqual(['run.put events.append'])
    expect(store.groups[0]).toMatchObject({ session_id: 's', changes: [{}, { segment: { first: 1, last: 2 } }] })
    expect(real.run('s', 'r')).toEqual(run('s', 'r'))
  })

  it('writes what two ticks decide as two groups', async () => {
    const { recorder, store } = await desk()
    for (const text of ['a', 'b']) {
      recorder.foreignEvent(said(text))
      await recorder.settled()
    }
    expect(store.kinds).toEqual(['events.append', 'events.append'])
  })

  it.each<[string, Change, Change]>([
    ['session', putSession(session('s', { title: 'old' })), putSession(session('s', { title: 'new' }))],
    ['item', { kind: 'item.put', item: item('s', 0, 'old') }, { kind: 'item.put', item: item('s', 0, 'new') }],
    ['run', { kind: 'run.put', run: run('s', 'r') }, { kind: 'run.put', run: run('s', 'r', { status: 'completed' }) }],
    [
      'input',
      { kind: 'input.put', input: input('s', 'i') },
      { kind: 'input.put', input: input('s', 'i', 'delivered') },
    ],
    [
      'request',
      { kind: 'request.put', request: request('s', 'q') },
      { kind: 'request.put', request: request('s', 'q', 'answered') },
    ],
    ['key', { kind: 'key.put', key: key('a', 'k') }, { kind: 'key.put', key: { ...key('a', 'k'), outcome: '{}' } }],
  ])('writes of a %s only its last state', async (_, old, last) => {
    const { recorder, store } = await desk()
    recorder.save(old)
    recorder.save({ kind: 'item.put', item: item('s', 7) })
    recorder.save(last)
    await recorder.settled()
    expect(store.groups).toEqual([{ session_id: 's', changes: [last, { kind: 'item.put', item: item('s', 7) }] }])
  })

  it('keeps records apart that differ in one part of their name', async () => {
    const { recorder, store } = await desk()
    const changes: Change[] = [
      { kind: 'item.put', item: item('s', 0) },
      { kind: 'item.put', item: item('s', 1) },
      { kind: 'run.put', run: run('s', 'x') },
      { kind: 'input.put', input: input('s', 'x') },
      { kind: 'request.put', request: request('s', 'x') },
      { kind: 'key.put', key: key('a', 'k') },
      { kind: 'key.put', key: key('a', 'l') },
      { kind: 'key.put', key: key('b', 'k') },
      { kind: 'key.put', key: key('a b', 'c') },
      { kind: 'key.put', key: key('a', 'b c') },
    ]
    for (const change of changes) recorder.save(change)
    await recorder.settled()
    expect(store.groups).toEqual([{ session_id: 's', changes }])
  })

  it('has one group in flight, and makes one of all that comes meanwhile', async () => {
    const { recorder, store, log } = await desk()
    store.hold()
    recorder.foreignEvent(said('a'))
    await tick()
    for (const text of ['b', 'c', 'd']) {
      recorder.foreignEvent(said(text))
      await tick()
    }
    expect(store.kinds).toEqual(['events.append'])
    expect(recorder.isSettled).toBe(false)
    store.release()
    await recorder.settled()
    expect(store.groups.map(({ changes }) => changes)).toMatchObject([
      [{ segment: { first: 1, last: 1 } }],
      [{ segment: { first: 2, last: 4 } }],
    ])
    expect(log.published).toBe(4)
    expect(recorder.isSettled).toBe(true)
  })

  it('publishes what is committed and nothing else (L4)', async () => {
    const { recorder, store, log } = await desk()
    store.hold()
    recorder.foreignEvent(said('a'))
    await tick()
    recorder.foreignEvent(said('b'))
    expect([log.head, log.published]).toEqual([2, 0])
    const first = log.read(options({ follow: true })).next()
    store.release()
    const { value: page } = await first
    expect(page && shown(page)).toMatchObject([{ seq: 1 }])
    await recorder.settled()
    expect(log.published).toBe(2)
  })
})

describe('settled', () => {
  it('resolves at once when there is nothing to commit', async () => {
    const { recorder, store } = await desk()
    await recorder.settled()
    expect(recorder.isSettled).toBe(true)
    expect(store.groups).toEqual([])
  })

  it('resolves when everything recorded so far is committed, published, and to be read', async () => {
    const { recorder, store, log, real } = await desk()
    store.hold()
    recorder.save({ kind: 'item.put', item: item('s', 0) })
    await tick()
    recorder.save({ kind: 'item.put', item: item('s', 1) })
    const seq = recorder.foreignEvent(said('a'))
    const settled = recorder.settled().then(() => [real.items('s', { from: 0 }).length, log.published])
    store.release()
    expect(await settled).toEqual([2, seq])
  })

  it('does not wait for what is recorded later', async () => {
    const { recorder, store, log } = await desk()
    recorder.foreignEvent(said('a'))
    const settled = recorder.settled()
    await tick()
    store.hold()
    recorder.foreignEvent(said('b'))
    await settled
    expect(log.published).toBe(1)
    expect(recorder.isSettled).toBe(false)
  })
})

describe('a group that is not committed', () => {
  it('ends the recorder: tells it once, and rejects everybody who waits', async () => {
    const { recorder, store, log, losses } = await desk()
    store.hold()
    store.fail('refused')
    recorder.foreignEvent(said('a'))
    await tick()
    const first = recorder.settled()
    recorder.foreignEvent(said('b'))
    const second = recorder.settled()
    store.release()
    await expect(first).rejects.toMatchObject(refusal)
    await expect(second).rejects.toMatchObject(refusal)
    await expect(recorder.settled()).rejects.toMatchObject(refusal)
    await tick()
    expect(losses).toMatchObject([refusal])
    expect(store.groups).toHaveLength(1)
    expect([log.published, recorder.isOpen, recorder.isSettled]).toEqual([0, false, true])
    expect(await allOf(log)).toEqual([])
  })

  it.each(['refused', 'unknown'] as const)(
    'publishes nothing of it and ignores what comes later, when it is %s',
    async (fault) => {
      const { recorder, store, log, real } = await desk()
      store.fail(fault)
      recorder.foreignEvent(said('a'))
      await expect(recorder.settled()).rejects.toMatchObject(refusal)
      const { head } = log
      expect(recorder.foreignEvent(said('b'))).toBe(head)
      expect(recorder.event({ type: 'warning', message: 'w' })).toBe(head)
      recorder.save({ kind: 'item.put', item: item('s', 0) })
      recorder.delete('gone')
      recorder.leave()
      await tick()
      await real.flush()
      expect(store.groups).toHaveLength(1)
      expect([log.head, log.published]).toEqual([head, 0])
      expect(real.session('s')).toBeDefined()
      expect(real.bounds('s').head).toBe(fault === 'unknown' ? 1 : 0)
    },
  )

  it('ends a recorder that has left, or whose session was deleted, in the same way', async () => {
    for (const end of ['leave', 'delete'] as const) {
      const { recorder, store, losses } = await desk()
      store.fail('refused')
      recorder.foreignEvent(said('a'))
      recorder[end]('why')
      await expect(recorder.settled()).rejects.toMatchObject(refusal)
      expect(losses).toMatchObject([refusal])
    }
  })

  it('leaves no rejection that nobody handles', async () => {
    const { recorder, store, losses } = await desk()
    const unhandled: unknown[] = []
    const note = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', note)
    onTestFinished(() => void process.off('unhandledRejection', note))
    store.hold()
    store.fail('refused')
    recorder.foreignEvent(said('a'))
    await tick()
    recorder.foreignEvent(said('b'))
    store.release()
    while (losses.length === 0) await tick()
    await tick()
    expect(unhandled).toEqual([])
  })
})

describe('delete', () => {
  it('removes the session, and tells readers why only when that is committed (L4)', async () => {
    const { recorder, store, log, real } = await desk()
    recorder.foreignEvent(said('a'))
    await recorder.settled()
    store.hold()
    const tail = log.read(options({ since: 1, follow: true }))
    const last = tail.next()
    recorder.delete('session ended')
    await tick()
    expect([log.head, log.published]).toEqual([2, 1])
    store.release()
    const { value: page } = await last
    expect(real.session('s')).toBeUndefined()
    expect(page && shown(page)).toMatchObject([{ seq: 2, event: { type: 'session_exited', reason: 'session ended' } }])
    await tail.return()
  })

  it('shows what its tick told before it, and stores of that only the answers to keys (M5)', async () => {
    const { recorder, store, log, real } = await desk()
    recorder.foreignEvent(said('a'))
    recorder.save({ kind: 'item.put', item: item('s', 0) })
    recorder.save(putSession(session('s', { title: 'new' })))
    recorder.save({ kind: 'key.put', key: key('s', 'k') })
    recorder.delete('session ended')
    await recorder.settled()
    expect(store.kinds).toEqual(['session.delete key.put'])
    expect(log.published).toBe(2)
    expect(real.key('s', 'k')).toEqual(key('s', 'k'))
  })

  it('records nothing after it', async () => {
    const { recorder, store, log, real } = await desk()
    recorder.delete('session ended')
    expect(recorder.isOpen).toBe(false)
    recorder.delete('again')
    recorder.save(putSession(session('s')))
    expect(recorder.foreignEvent(said('a'))).toBe(1)
    await recorder.settled()
    recorder.save(putSession(session('s')))
    await tick()
    expect(store.groups).toHaveLength(1)
    expect(log.head).toBe(1)
    expect(real.session('s')).toBeUndefined()
  })

  it('waits for the group that is in flight', async () => {
    const { recorder, store, real } = await desk()
    store.hold()
    recorder.foreignEvent(said('a'))
    await tick()
    recorder.delete('session ended')
    store.release()
    await recorder.settled()
    expect(store.kinds).toEqual(['events.append', 'session.delete'])
    expect(real.bounds('s')).toEqual({ oldest: 0, head: 0 })
  })
})

describe('leave', () => {
  it('commits what was recorded before, and records nothing after it', async () => {
    const { recorder, log, real } = await desk()
    recorder.foreignEvent(said('a'))
    recorder.leave()
    recorder.foreignEvent(said('b'))
    recorder.save({ kind: 'item.put', item: item('s', 0) })
    await recorder.settled()
    expect([recorder.isOpen, log.published, real.bounds('s').head]).toEqual([false, 1, 1])
    expect(real.items('s', { from: 0 })).toEqual([])
  })
})

describe('pressure', () => {
  it('is there while more than 4 MiB wait to be committed, and then gone', async () => {
    const { recorder, store, log } = await desk()
    expect(recorder.pressure).toBeUndefined()
    store.hold()
    recorder.foreignEvent(said('in flight'))
    await tick()
    const text = 'x'.repeat(1024 * 1024)
    for (let n = 0; n < 4; n += 1) {
      expect(recorder.pressure).toBeUndefined()
      recorder.foreignEvent(said(text))
    }
    const { pressure } = recorder
    expect(pressure).toBeDefined()
    store.release()
    await pressure
    expect(recorder.pressure).toBeUndefined()
    expect(log.published).toBe(5)
  })

  it('is there while the store is under pressure', async () => {
    const { recorder, store } = await desk()
    const room = Promise.resolve()
    store.pressure = room
    expect(recorder.pressure).toBe(room)
    store.pressure = undefined
    expect(recorder.pressure).toBeUndefined()
  })

  it('loses the group that cannot be written down, and tells that once', async () => {
    const { recorder, store, losses } = await desk()
    const failure = new RangeError('Maximum call stack size exceeded')
    store.write = () => {
      throw failure
    }
    recorder.save(putSession(session('s')))
    await expect(recorder.settled()).rejects.toBe(failure)
    expect(losses).toEqual([failure])
    expect(recorder.isOpen).toBe(false)
  })

  it('rejects those who wait when the group is lost', async () => {
    const { recorder, store } = await desk()
    store.fail('refused')
    for (let n = 0; n < 5; n += 1) recorder.foreignEvent(said('x'.repeat(1024 * 1024)))
    await expect(recorder.pressure).rejects.toMatchObject(refusal)
  })
})
