import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SessionMap } from '../../src/session-manager/directory/session-map.ts'
import { createSqliteStore } from '../../src/store/sqlite-store.ts'
import { tempDir } from '../store/temp-dir.ts'
import {
  backends,
  build,
  codeOf,
  collect,
  eventsOf,
  follow,
  type House,
  patience,
  readLog,
  rested,
  running,
  texts,
  typesOf,
  useStore,
} from './house.ts'
import { sharedSurroundings } from './shared-surroundings.ts'
import { approval, elicitation, Puppet } from './test-agents.ts'

const never = new AbortController().signal

describe.each(backends)('recovery over $over', (backend) => {
  const house = useStore(backend)

  it('ends a run that the process before left running, keeps what it said and its queue (M4, M6)', async () => {
    const built = await house()
    const { id, runId, run } = await running(built)
    await run.say('one ')
    await run.answer('one whole')
    await run.say('two ')
    await run.tell({ type: 'agent_choice_reasoning', content: 'hm', agent_name: 'root' })
    await run.say('halves')
    void run.ask(approval('a'))
    void run.ask(elicitation('b?'))
    await built.manager.followUpSession(id, [{ content: 'later' }])
    const head = await built.manager.lastEventSeq(id)
    const next = await built.crash()
    const { manager } = next
    const log = await readLog(manager, id)
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1))
    expect(typesOf(log.slice(head))).toEqual([
      'request_settled',
      'request_settled',
      'message_added',
      'error',
      'stream_stopped',
      'input_updated',
    ])
    const settled = eventsOf(log, 'request_settled')
    expect(settled.map(({ request, decider }) => [request.state, decider])).toEqual([
      ['expired', 'restart'],
      ['expired', 'restart'],
    ])
    expect(eventsOf(log, 'error')[0]).toMatchObject({ code: 'interrupted', run_id: runId })
    expect(eventsOf(log, 'stream_stopped')).toMatchObject([{ reason: 'interrupted', run_id: runId }])
    expect(await manager.getRun(id, runId)).toMatchObject({ status: 'interrupted', reason: 'interrupted' })
    const { messages } = await manager.getSession(id)
    expect(texts(messages)).toEqual(['begin', 'one whole', 'two halves'])
    expect(messages?.at(-1)?.message).toMatchObject({ finish_reason: 'interrupted', reasoning_content: 'hm' })
    const [request] = settled
    const late = manager.resumeSession(id, { confirmation: 'approve', request_id: request?.request.id })
    expect(await codeOf(late)).toBe('request_settled')
    expect(await manager.getRequests(id)).toEqual([])
    expect((await manager.getQueue(id)).followup.depth).toBe(1)
    await manager.runSession(id, { source: 'hand' }, { messages: [{ content: 'on' }] })
    const again = await next.puppet.next()
    expect(again.followUp()).toBe('later')
    await again.end()
    expect(await manager.waitStopped(id, patience)).toBe(true)
  })

  it('ends an interrupted run once, however often the process starts (M4)', async () => {
    const built = await house()
    const { id } = await running(built)
    const next = await (await (await built.crash()).crash()).restart()
    expect(eventsOf(await readLog(next.manager, id), 'stream_stopped')).toHaveLength(1)
  })

  it('loses what was not committed, and nothing else', async () => {
    const built = await house()
    const { id, run } = await running(built)
    await run.say('told ')
    await follow(built.manager, id, 'agent_choice')
    built.store.hold()
    await run.say('never told')
    const title = built.manager.updateSessionTitle(id, 'never told')
    await new Promise(setImmediate)
    const next = await built.crash()
    void title
    expect(texts((await next.manager.getSession(id)).messages)).toEqual(['begin', 'told '])
    expect((await next.manager.getSession(id)).title).toBe('')
  })

  it.each(['refused', 'unknown'] as const)(
    'survives a commit that is %s: everybody learns it, the session works',
    async (fault) => {
      const built = await house()
      const { manager, store, puppet } = built
      const { id, runId, run } = await running(built)
      const attachment = await manager.registerFollowUpInjector(id, () => {})
      const tail = collect(await manager.streamEvents(id, { since: undefined, follow: true, signal: never }))
      const answer = run.ask(approval('a')).catch(() => 'withdrawn')
      await manager.getRequests(id)
      store.hold()
      store.fail(fault)
      const waiters = [
        manager.updateSessionTitle(id, 'x'),
        manager.steerSession(id, [{ content: 'x' }]),
        manager.resumeSession(id, { confirmation: 'approve' }),
        manager.getSessionSnapshot(id),
        manager.cancelRun(id, { by: 'test' }, { waitMs: patience }),
      ]
      const codes = Promise.all(waiters.map((waiter) => codeOf(waiter)))
      await new Promise(setImmediate)
      store.release()
      expect(await codes).toEqual(waiters.map(() => 'store_unavailable'))
      await run.left
      await answer
      expect(attachment.signal.aborted).toBe(true)
      const told = await tail
      expect(typesOf(told)).not.toContain('session_title')
      expect((await manager.getRun(id, runId)).status).not.toBe('running')
      const log = await readLog(manager, id)
      expect(log.slice(0, told.length)).toEqual(told)
      expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1))
      expect(eventsOf(log, 'stream_stopped')).toHaveLength(1)
      expect((await manager.getSession(id)).title).toBe(fault === 'unknown' ? 'x' : '')
      await manager.runSession(id, { source: 'hand' }, { messages: [{ content: 'again' }] })
      const again = await puppet.next()
      expect(again.steering()).toEqual(fault === 'unknown' ? ['x'] : [])
      await again.end()
      expect(await manager.waitStopped(id, patience)).toBe(true)
      expect(built.agents.live).toBe(0)
    },
  )

  it('waits for the end of a run until that is committed, whatever becomes of the commit (M4)', async () => {
    const built = await house({ recovery: 'resume' })
    const { manager, store, puppet } = built
    const { id, runId, run } = await running(built)
    store.hold()
    store.fail('refused')
    await run.end()
    let isOver = false
    const stopped = manager.waitStopped(id, patience).then((all) => {
      isOver = all
    })
    for (let ticks = 0; ticks < 20; ticks += 1) await new Promise(setImmediate)
    expect(isOver).toBe(false)
    store.release()
    const again = await puppet.next()
    expect(isOver).toBe(false)
    await again.end()
    await stopped
    expect(isOver).toBe(true)
    expect(store.run(id, runId)?.status).toBe('completed')
  })

  it('starts no second run before the one of a failed commit has left (M1)', async () => {
    const puppet = new Puppet({ stubborn: true })
    const built = await house({ puppet })
    const { manager, store } = built
    const { id, run } = await running(built)
    store.fail('refused')
    expect(await codeOf(manager.updateSessionTitle(id, 'x'))).toBe('store_unavailable')
    const again = () => codeOf(manager.runSession(id, { source: 'hand' }, { messages: [] }))
    expect(await again()).toBe('store_unavailable')
    expect(puppet.active.size).toBe(1)
    await run.end()
    await manager.waitStopped(id, patience)
    expect(await again()).toBeUndefined()
    expect(puppet.active.size).toBe(1)
    await (await puppet.next()).end()
  })

  it('does not begin a run whose beginning cannot be committed', async () => {
    const built = await house()
    const { manager, store, puppet } = built
    const { id } = await manager.createSession()
    store.fail('refused')
    const call = manager.runSession(id, { source: 'hand' }, { messages: [{ content: 'x' }] })
    expect(await codeOf(call)).toBe('store_unavailable')
    expect(await codeOf(manager.getSessionStatus(id))).toBe('session_not_running')
    expect([puppet.unseen, puppet.active.size, built.agents.live]).toEqual([0, 0, 0])
  })

  it('does not make a session that cannot be committed', async () => {
    const { manager, store } = await house()
    store.fail('refused')
    expect(await codeOf(manager.createSession({ title: 'x' }))).toBe('store_unavailable')
    expect(await manager.getActiveSessions()).toEqual([])
  })

  it('keeps a session that cannot be deleted', async () => {
    const built = await house()
    const { manager, store } = built
    const id = await rested(built)
    store.fail('refused')
    expect(await codeOf(manager.deleteSession(id))).toBe('store_unavailable')
    expect(texts((await manager.getSession(id)).messages)).toEqual(['begin'])
    expect(await codeOf(manager.deleteSession(id))).toBeUndefined()
    expect(await codeOf(manager.getSession(id))).toBe('unknown_session')
  })

  it('deletes a session during its run: the run leaves, its stream ends with session_exited', async () => {
    const built = await house()
    const { manager, puppet } = built
    const { id } = await manager.createSession()
    const { events } = await manager.runSession(id, { source: 'hand' }, { messages: [] })
    const stream = collect(events(never))
    const run = await puppet.next()
    await run.say('x')
    const answer = run.ask(approval('a')).catch((reason: unknown) => reason)
    expect(await manager.deleteSession(id, patience)).toEqual({ left: true })
    expect(await answer).toBe(run.context.signal.reason)
    expect(typesOf(await stream).at(-1)).toBe('session_exited')
    expect([puppet.active.size, built.agents.live]).toEqual([0, 0])
    expect(await codeOf(manager.getSessionSnapshot(id))).toBe('unknown_session')
    const next = await built.crash()
    expect(await codeOf(next.manager.getSession(id))).toBe('unknown_session')
  })

  it('refuses a run whose session is deleted while its agent is opened', async () => {
    const { manager, agents, puppet } = await house()
    const { id } = await manager.createSession()
    const loading = Promise.withResolvers<void>()
    agents.loading = loading.promise
    const call = codeOf(manager.runSession(id, { source: 'hand' }, { messages: [] }))
    await manager.deleteSession(id)
    loading.resolve()
    expect(await call).toBe('unknown_session')
    expect([puppet.unseen, agents.live]).toEqual([0, 0])
  })

  it('changes nothing by unloading a session and loading it again', async () => {
    const built = await house()
    const { id, run } = await running(built)
    await run.answer('answered', { cost: 1 })
    await built.manager.steerSession(id, [{ content: 'waits' }])
    await built.manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    await built.manager.updateSessionPermissions(id, { allow: ['ls'] })
    const map = new SessionMap(sharedSurroundings(built.store, { agents: built.agents }))
    const look = async () => {
      const session = map.open(id)
      const { signal } = new AbortController()
      const log = await collect(session.views.tail({ since: undefined, follow: false, signal }))
      return [
        await session.views.snapshot({ from: 0 }),
        await session.views.status(),
        session.inputs.queue,
        session.record,
        log,
      ]
    }
    const before = await look()
    const loaded = map.open(id)
    map.unload(0)
    expect(map.peek(id)).toBeUndefined()
    expect(await look()).toEqual(before)
    expect(map.open(id)).not.toBe(loaded)
    await map.close()
  })

  it('keeps a session loaded while somebody needs it', async () => {
    const built = await house()
    const id = await rested(built)
    const map = new SessionMap(sharedSurroundings(built.store, { agents: built.agents }))
    const session = map.open(id)
    const stays = () => {
      map.unload(0)
      return map.peek(id) === session
    }
    const leave = new AbortController()
    const tail = session.views.tail({ since: undefined, follow: true, signal: leave.signal })
    await tail.next()
    expect(stays()).toBe(true)
    leave.abort()
    await tail.next()
    const visiting = Promise.withResolvers<void>()
    const visit = session.visit(() => visiting.promise)
    expect(stays()).toBe(true)
    visiting.resolve()
    await visit
    const write = session.settings.configure({ title: 'x' })
    expect(stays()).toBe(true)
    await write
    await session.runs.start({ agent: { source: 'hand' }, messages: [], trigger: 'detached' })
    const run = await built.puppet.next()
    expect(stays()).toBe(true)
    await run.end()
    await session.left()
    expect(stays()).toBe(false)
    await map.close()
  })

  it('takes no new run while it drains, and waits for those that go on', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    const idle = await rested(built)
    expect(manager.readiness).toMatchObject({ ready: true, phase: 'ready', active_sessions: 1 })
    const drained = manager.drain(patience)
    expect(manager.readiness).toMatchObject({ ready: false, phase: 'draining' })
    for (const call of [
      manager.createSession(),
      manager.forkSession(idle, 0),
      manager.runSession(idle, { source: 'hand' }, { messages: [] }),
    ]) {
      expect(await codeOf(call)).toBe('shutting_down')
    }
    expect(await manager.followUpSession(idle, [{ content: 'x' }])).toEqual({ streaming: false, duplicate: false })
    await manager.followUpSession(id, [{ content: 'kept' }])
    await run.end()
    await drained
    const next = await built.restart()
    expect((await next.manager.getRuns(id, { limit: 1 })).entries).toMatchObject([{ status: 'completed' }])
    for (const session of [id, idle]) expect((await next.manager.getQueue(session)).followup.depth).toBe(1)
  })

  it('lets the next process find a run that did not end in time as running (M4)', async () => {
    const built = await house()
    const { manager } = built
    const { id, runId, run } = await running(built)
    await run.say('unfinished')
    const tail = collect(await manager.streamEvents(id, { since: undefined, follow: true, signal: never }))
    await manager.drain(0)
    await Promise.all([manager.close(), manager.close()])
    await run.left
    expect(typesOf(await tail)).toEqual(['user_message', 'stream_started', 'agent_choice'])
    expect(built.store.unfinishedRuns().map((unfinished) => unfinished.run_id)).toContain(runId)
    expect(await codeOf(manager.getSession(id))).toBe('shutting_down')
    const next = await built.restart()
    expect(await next.manager.getRun(id, runId)).toMatchObject({ status: 'interrupted' })
    expect(texts((await next.manager.getSession(id)).messages)).toEqual(['begin', 'unfinished'])
  })

  it('does not tell a stop that the end of the process overtakes', async () => {
    const puppet = new Puppet({ stubborn: true })
    const built = await house({ puppet })
    const { manager } = built
    const { id, runId, run } = await running(built)
    const stop = manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    await run.tell({ type: 'warning', message: 'not yet' })
    const closed = manager.close()
    await run.end()
    expect((await stop.catch(() => ({ stopped: false }))).stopped).toBe(false)
    await closed
    const next = await built.restart()
    expect((await next.manager.getRun(id, runId)).status).toBe('canceled')
  })

  it('refuses everything before it has started', async () => {
    const { store } = await house()
    const { SessionManager } = await import('../../src/session-manager/session-manager.ts')
    const { TestAgents } = await import('./test-agents.ts')
    const manager = new SessionManager({ store, agents: new TestAgents({}) })
    expect(await codeOf(manager.createSession())).toBe('starting')
    expect(await codeOf(manager.getSession('any'))).toBe('starting')
    expect(await codeOf(() => manager.getSessions({ limit: 1 }))).toBe('starting')
    expect(manager.readiness).toMatchObject({ ready: false, phase: 'starting' })
    await manager.close()
  })

  it('refuses commands before they decide while too much waits to be written', async () => {
    const built = await house()
    const { manager, store } = built
    const id = await rested(built)
    const room = Promise.withResolvers<void>()
    store.pressure = room.promise
    const before = await manager.getSessionSnapshot(id)
    for (const call of [
      manager.createSession(),
      manager.runSession(id, { source: 'hand' }, { messages: [] }),
      manager.steerSession(id, [{ content: 'x' }]),
      manager.updateSessionTitle(id, 'x'),
    ]) {
      expect(await codeOf(call)).toBe('overloaded')
    }
    expect(await manager.getSessionSnapshot(id)).toEqual(before)
    store.pressure = undefined
    const { run } = await running(built)
    store.pressure = room.promise
    let told = 0
    void run.say('a').then(() => told++)
    void run.say('b').then(() => told++)
    await new Promise(setImmediate)
    expect(told).toBe(0)
    store.pressure = undefined
    room.resolve()
    await run.say('c')
    expect(told).toBe(2)
    await run.end()
  })
})

describe('a file', () => {
  it('is opened again with sessions, keys, queue and interrupted runs (M2, M5)', async () => {
    const path = join(tempDir(), 'test.db')
    const open = async (): Promise<{ readonly house: House; readonly close: () => Promise<void> }> => {
      const store = createSqliteStore({ path })
      await store.open()
      return { house: await build(store), close: () => store.close() }
    }
    const first = await open()
    const { id, run } = await running(first.house)
    await run.say('cut')
    await first.house.manager.followUpSession(id, [{ content: 'once' }], 'key')
    await first.house.manager.close()
    await first.close()
    const second = await open()
    const { manager, puppet } = second.house
    expect(texts((await manager.getSession(id)).messages)).toEqual(['begin', 'cut'])
    expect((await manager.followUpSession(id, [{ content: 'once' }], 'key')).duplicate).toBe(true)
    await manager.runSession(id, { source: 'hand' }, { messages: [] })
    const next = await puppet.next()
    expect(next.followUp()).toBe('once')
    await next.end()
    await manager.waitStopped(id, patience)
    await manager.close()
    await second.close()
  })
})
