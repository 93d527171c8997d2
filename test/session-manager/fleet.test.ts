import { describe, expect, test } from 'vitest'
import { FleetEvent, type FleetSession } from '../../src/protocol/protocol.ts'
import type { FleetReadOptions } from '../../src/session-manager/session-manager.ts'
import { backends, collect, entriesOf, type House, patience, running, useStore } from './house.ts'
import { approval, Puppet, type PuppetRun, runtimeOf } from './test-agents.ts'

/** What was told after a place, of one session with all below it unless somebody asks for more. */
async function told({ manager }: House, since: number, filter: Partial<FleetReadOptions>): Promise<FleetEvent[]> {
  const { signal } = new AbortController()
  const entries = await collect(manager.streamFleet({ ...filter, since, follow: false, signal }))
  return entries.map(({ event }) => FleetEvent.parse(event))
}

function brief({ type, session, request }: FleetEvent): readonly unknown[] {
  return [type, session.status, ...(request === undefined ? [] : [request.label, request.state])]
}

/** A task that has begun, and its run. */
async function handOver(run: PuppetRun) {
  const worker = new Puppet()
  const open = () => runtimeOf('worker', worker)
  const { id } = await run.context.tasks.begin({ open, callId: 'c', task: 'work', title: 'work', isBackground: false })
  return { id, run: await worker.next() }
}

describe.each(backends)('What is told over all sessions, over $over', (backend) => {
  const newHouse = useStore(backend)

  test('says what a session does, each with the session as it is then', async () => {
    const house = await newHouse()
    const { manager } = house
    const since = manager.lastFleetSeq
    const { id, runId, run } = await running(house)
    await manager.updateSessionTitle(id, 'A title')
    const answer = run.ask(approval('shell'))
    await expect.poll(() => manager.getRequests(id)).toHaveLength(1)
    await manager.resumeSession(id, { confirmation: 'approve' })
    await answer
    await run.end()
    await manager.waitStopped(id, patience)
    await manager.deleteSession(id)
    const events = await told(house, since, { session: id })
    expect(events.filter(({ type }) => type !== 'session_progress').map(brief)).toEqual([
      ['session_created', 'idle'],
      ['session_status', 'running'],
      ['session_title', 'running'],
      ['session_status', 'waiting_for_person'],
      ['request_opened', 'waiting_for_person', 'shell', 'open'],
      ['session_status', 'running'],
      ['request_settled', 'running', 'shell', 'answered'],
      ['session_status', 'idle'],
      ['session_deleted', 'idle'],
    ])
    const opened = events.find(({ type }) => type === 'request_opened')
    expect(opened?.session).toMatchObject({
      id,
      title: 'A title',
      agent: 'hand',
      run_id: runId,
      open_requests: [opened?.request?.id],
    })
    expect(events.at(-1)?.session.run_id).toBeUndefined()
  })

  test('says how far the log of a session is, and of pieces of text only now and then', async () => {
    const house = await newHouse()
    const { manager } = house
    const { id, run } = await running(house)
    const since = manager.lastFleetSeq
    for (let n = 0; n < 50; n += 1) await run.say('x')
    await manager.getSessionSnapshot(id)
    const pieces = await told(house, since, { session: id })
    expect(pieces.length).toBeLessThan(10)
    await run.answer('x', { cost: 2 })
    await run.end()
    await manager.waitStopped(id, patience)
    const last = (await told(house, since, { session: id })).at(-1)
    expect(last?.session).toMatchObject({ cost: 2, last_event_seq: await manager.lastEventSeq(id), status: 'idle' })
    expect(house.store.fleetSession(id)).toEqual(last?.session)
  })

  test('shows a root session as waiting when a task below it asks a person', async () => {
    const house = await newHouse()
    const { manager } = house
    const { id, run } = await running(house)
    const since = manager.lastFleetSeq
    const task = await handOver(run)
    const answer = task.run.ask(approval('shell'))
    await expect.poll(() => manager.getRequests(task.id)).toHaveLength(1)
    await manager.getSessionSnapshot(id)
    const shown = (of: string): FleetSession | undefined => house.store.fleetSession(of)
    const [request] = await manager.getRequests(task.id)
    for (const one of [id, task.id]) {
      expect(shown(one)).toMatchObject({ status: 'waiting_for_person', open_requests: [request?.id] })
    }
    expect(shown(task.id)).toMatchObject({ parent_id: id, above: [id] })
    await manager.resumeSession(task.id, { confirmation: 'reject' })
    await answer
    await manager.getSessionSnapshot(id)
    expect(shown(id)).toMatchObject({ status: 'running', open_requests: [] })
    const ids = (events: readonly FleetEvent[]) => new Set(events.map(({ session }) => session.id))
    expect(ids(await told(house, since, {}))).toEqual(new Set([id]))
    expect(ids(await told(house, since, { children: true }))).toEqual(new Set([id, task.id]))
    expect(ids(await told(house, since, { session: task.id }))).toEqual(new Set([task.id]))
    await task.run.end()
    await run.end()
    await manager.waitStopped(id, patience)
    const gone = manager.lastFleetSeq
    await manager.deleteSession(id)
    const deleted = await told(house, gone, { session: id, types: new Set(['session_deleted']) })
    expect(ids(deleted)).toEqual(new Set([id, task.id]))
  })

  test('goes on with the same numbers in the next process, which tells what became of its runs', async () => {
    const house = await newHouse()
    const { id } = await running(house)
    const since = house.manager.lastFleetSeq
    const next = await house.crash()
    const events = await told(next, since, { session: id })
    const { streaming } = await next.manager.getSessionStatus(id)
    expect(events.at(-1)?.session).toMatchObject({ status: streaming ? 'running' : 'idle', open_requests: [] })
    expect(next.manager.lastFleetSeq).toBe(since + events.length)
  })

  test('tells nothing that is not committed', async () => {
    const house = await newHouse()
    const { id } = await house.manager.createSession()
    const since = house.manager.lastFleetSeq
    house.store.hold()
    const change = house.manager.updateSessionTitle(id, 'later')
    await expect.poll(() => house.store.waiting).toBe(1)
    expect(await told(house, since, {})).toEqual([])
    house.store.release()
    await change
    expect((await told(house, since, {})).map(brief)).toEqual([['session_title', 'idle']])
  })

  test('reaches readers that wait, which begin with what comes next and end with the server', async () => {
    const house = await newHouse()
    const { signal } = new AbortController()
    const pages = house.manager.streamFleet({ since: undefined, follow: true, signal })
    const first = pages.next()
    const { id } = await house.manager.createSession({ title: 'New' })
    const page = await first
    if (page.done === true) throw new Error('the reader has ended')
    expect(entriesOf(page.value).map(({ event }) => [event.type, FleetEvent.parse(event).session.id])).toEqual([
      ['session_created', id],
    ])
    const end = pages.next()
    await house.manager.close()
    expect((await end).done).toBe(true)
  })
})
