import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { SessionManager } from '../../src/session-manager/session-manager.ts'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import { FaultStore } from './fault-store.ts'
import { build, codeOf, eventsOf, follow, type House, patience, readLog, running } from './house.ts'
import { approval, Puppet, runtimeOf, TestAgents } from './test-agents.ts'

const messages = [{ content: 'x' }]
/** So long that nothing goes on by itself. */
const never = 1_000_000

async function open(options: Parameters<typeof build>[1]): Promise<House> {
  const store = createMemoryStore()
  await store.open()
  return build(store, { recovery: 'resume', ...options })
}

async function runOf({ manager }: House, id: string) {
  const [run] = (await manager.getRuns(id, { limit: 1 })).entries
  return run
}

async function causesOf({ manager }: House, id: string) {
  const recovered = eventsOf(await readLog(manager, id), 'run_recovered')
  return recovered.map(({ attempt, cause }) => [attempt, cause])
}

describe('Many runs that their process has left', () => {
  it('go on no more at once than the server allows, before new ones (M6)', async () => {
    const built = await open({ maxConcurrentRuns: 3 })
    const ids: string[] = []
    for (let n = 0; n < 3; n++) ids.push((await running(built)).id)
    const next = await built.crash({ maxConcurrentRuns: 1 })
    const { manager, puppet } = next
    const first = await puppet.next()
    const waiting = ids.filter((id) => id !== first.context.conversation)
    for (const id of waiting) {
      await expect
        .poll(() => manager.explainSession(id))
        .toMatchObject({
          state: 'recovering',
          message: expect.stringContaining('as many go on as the server allows'),
          ends_when: [{ code: 'free_slot' }, { code: 'cancel' }],
        })
    }
    const { id: fresh } = await manager.createSession()
    const start = () => codeOf(manager.runSession(fresh, { source: 'hand' }, { messages }))
    expect([await start(), puppet.active.size]).toEqual(['too_many_runs', 1])
    await first.end()
    const second = await puppet.next()
    const [last = ''] = waiting.filter((id) => id !== second.context.conversation)
    // One that waits and is stopped gives back no more than it has.
    await manager.cancelRun(last, { by: 'test' }, { waitMs: patience })
    expect([await start(), (await runOf(next, last))?.status]).toEqual(['too_many_runs', 'canceled'])
    await second.end()
    expect(await manager.waitStopped(second.context.conversation, patience)).toBe(true)
    expect([await start(), await start()]).toEqual([undefined, 'session_busy'])
    await (await puppet.next()).end()
  })

  it('leave their tasks beside the slots, so that none waits for another for ever (M6)', async () => {
    const built = await open({ maxConcurrentRuns: 1 })
    const { run } = await running(built)
    const worker = new Puppet()
    const begin = (context: typeof run.context) =>
      context.tasks.begin({
        open: () => runtimeOf('worker', worker),
        task: 'work',
        title: 'work',
        callId: 'call-1',
        isBackground: false,
      })
    await begin(run.context)
    await worker.next()
    const next = await built.crash()
    const again = await next.puppet.next()
    await begin(again.context)
    await (await worker.next()).end()
    await again.end()
    expect(await next.manager.waitStopped(again.context.conversation, patience)).toBe(true)
  })
})

describe('An attempt', () => {
  it('is told by when it comes, while it is put off', async () => {
    const built = await open({ recoveryDelayMs: never })
    const { id } = await running(built)
    const next = await built.crash()
    const { activities, ends_when, message } = await next.manager.explainSession(id)
    const at = activities[0]?.retry_at ?? ''
    expect(Date.parse(at)).toBeGreaterThan(Date.now() + never / 2)
    expect([message, ends_when[0]]).toEqual([
      expect.stringContaining(`as attempt 2, which begins at ${at}`),
      { code: 'retry', message: `the run goes on, at ${at}` },
    ])
  })

  it('counts when the process dies that went on with the run, and not while it waits', async () => {
    const built = await open({ recoveryAttempts: 2, recoveryDelayMs: never })
    const { id } = await running(built)
    const waiting = await built.crash()
    expect(await runOf(waiting, id)).toMatchObject({ status: 'running', attempt: 2, handed_over: true })
    const going = await waiting.crash()
    await going.puppet.next()
    const run = await runOf(going, id)
    expect([run?.attempt, run?.handed_over]).toEqual([2, undefined])
    const last = await going.crash()
    expect(await runOf(last, id)).toMatchObject({ status: 'failed', error: { code: 'attempts_exhausted' } })
    expect(await causesOf(last, id)).toEqual([
      [2, 'crash'],
      [2, 'handover'],
    ])
  })

  it('is not used up while the run only waits for a person, however often the process dies', async () => {
    let built = await open({ recoveryAttempts: 2 })
    const { id, run } = await running(built)
    const question = approval('write')
    void run.ask(question).catch(() => {})
    await follow(built.manager, id, 'request_opened')
    for (let n = 0; n < 4; n++) {
      built = await built.crash()
      void (await built.puppet.next()).ask(question).catch(() => {})
    }
    expect(await causesOf(built, id)).toEqual(Array.from({ length: 4 }, () => [1, 'crash']))
    expect(await built.manager.getRequests(id)).toMatchObject([{ state: 'open' }])
  })

  it('counts anew once the run has gone on for ten minutes', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    let built = await open({ recoveryAttempts: 2 })
    const { id, ...first } = await running(built)
    let run = first.run
    for (const minutes of [11, 10, 9]) {
      vi.setSystemTime(Date.now() + minutes * 60_000)
      const { last_event_seq } = await built.manager.getSessionSnapshot(id)
      await run.answer(`after ${minutes} minutes`)
      await follow(built.manager, id, 'message_added', last_event_seq)
      built = await built.crash()
      if (minutes > 9) run = await built.puppet.next()
    }
    expect(await causesOf(built, id)).toEqual([
      [2, 'crash'],
      [2, 'crash'],
    ])
    expect(await runOf(built, id)).toMatchObject({ status: 'failed', error: { code: 'attempts_exhausted' } })
  })

  it('is not used up by a store that takes nothing, however often', async () => {
    const built = await open({ recoveryAttempts: 2 })
    const { store, puppet } = built
    const { id, ...first } = await running(built)
    let run = first.run
    for (let n = 0; n < 4; n++) {
      store.connected = false
      store.fail('refused')
      await run.say('lost')
      await run.left
      store.connected = true
      run = await puppet.next()
    }
    expect((await runOf(built, id))?.attempt).toBe(1)
    expect(await causesOf(built, id)).toEqual(Array.from({ length: 4 }, () => [1, 'store_failure']))
    await run.end()
    expect(await built.manager.waitStopped(id, patience)).toBe(true)
  })

  it('is not used up by a store that takes the end of the run no more', async () => {
    const built = await open({ recoveryAttempts: 1 })
    const { store, manager, puppet } = built
    const { id, runId, run } = await running(built)
    store.connected = false
    store.hold()
    const lost = codeOf(manager.updateSessionTitle(id, 'lost'))
    await run.end()
    await vi.waitUntil(() => manager.readiness.active_sessions === 0, patience)
    store.fail('refused')
    store.release()
    expect(await lost).toBe('store_unavailable')
    store.connected = true
    const again = await puppet.next()
    await again.end()
    expect(await manager.waitStopped(id, patience)).toBe(true)
    expect(await manager.getRun(id, runId)).toMatchObject({ status: 'completed', last_seq: expect.any(Number) })
    expect(await causesOf(built, id)).toEqual([[1, 'store_failure']])
  })
})

describe('Runs on their last attempt', () => {
  it('go on one at a time, so that one that ends the process ends no other (M6)', async () => {
    const options = { recoveryAttempts: 2, recoveryTrialMs: never }
    let built = await open(options)
    const ids: string[] = []
    for (let n = 0; n < 3; n++) ids.push((await running(built)).id)
    const failed: string[] = []
    while (failed.length < ids.length) {
      built = await built.crash()
      expect(built.taken).toMatchObject({ resumed: ids.length - failed.length })
      const { context } = await built.puppet.next()
      const waiting = ids.filter((id) => id !== context.conversation && !failed.includes(id))
      for (const id of waiting) {
        await expect
          .poll(() => built.manager.explainSession(id))
          .toMatchObject({ message: expect.stringContaining('one at a time'), ends_when: [{ code: 'retry' }, {}] })
      }
      expect(built.puppet.active.size).toBe(1)
      failed.push(context.conversation)
    }
    expect((await built.crash()).taken).toMatchObject({ resumed: 0, exhausted: [failed.at(-1)] })
  })

  it('go on one at a time also when they are tasks', async () => {
    const built = await open({ recoveryAttempts: 2, recoveryTrialMs: never })
    const { id, run } = await running(built)
    const worker = new Puppet()
    const begin = (isBackground: boolean) =>
      run.context.tasks.begin({
        open: () => runtimeOf('worker', worker),
        task: 'work',
        title: 'work',
        callId: 'call',
        isBackground,
      })
    const tasks = [await begin(true), await begin(true)]
    for (const _ of tasks) await worker.next()
    await run.end()
    expect(await built.manager.waitStopped(id, patience)).toBe(true)
    const next = await built.crash()
    const first = await next.puppet.next()
    const [waiting = ''] = tasks.map((task) => task.id).filter((task) => task !== first.context.conversation)
    await expect
      .poll(() => next.manager.explainSession(waiting))
      .toMatchObject({ message: expect.stringContaining('one at a time') })
    expect(next.puppet.active.size).toBe(1)
  })

  it('keep it when the process dies later, but for the one that had gone on last', async () => {
    const built = await open({ recoveryAttempts: 2 })
    for (let n = 0; n < 3; n++) await running(built)
    const next = await built.crash()
    const order = [await next.puppet.next(), await next.puppet.next(), await next.puppet.next()]
    const [first, second, third] = order.map(({ context }) => context.conversation)
    const last = await next.crash()
    expect(last.taken).toMatchObject({ resumed: 2, exhausted: [third] })
    const causes = await Promise.all([first, second].map((id = '') => causesOf(last, id)))
    const attempt = [2, 'crash']
    expect(causes).toEqual([
      [attempt, attempt],
      [attempt, attempt],
    ])
  })

  it('do not wait for one that has ended', async () => {
    const built = await open({ recoveryAttempts: 2, recoveryTrialMs: never })
    for (let n = 0; n < 2; n++) await running(built)
    const next = await built.crash()
    await (await next.puppet.next()).end()
    await (await next.puppet.next()).end()
    expect(next.puppet.active.size).toBe(0)
  })
})

describe('A start', () => {
  it('tells what became of the runs before', async () => {
    const built = await open({ recoveryAttempts: 2 })
    const { manager } = built
    const begin = async (recovery: 'resume' | 'interrupt' | 'ask') => {
      const { id } = await manager.createSession({ recovery })
      await manager.runSession(id, { source: 'hand' }, { messages })
      await built.puppet.next()
      return id
    }
    const ids = [await begin('resume'), await begin('interrupt'), await begin('ask')]
    const next = await built.crash()
    expect(next.taken).toEqual({ resumed: 1, asked: 1, interrupted: 1, canceled: 0, exhausted: [] })
    await next.puppet.next()
    expect((await next.crash()).taken).toEqual({
      resumed: 0,
      asked: 1,
      interrupted: 0,
      canceled: 0,
      exhausted: [ids[0]],
    })
  })

  it('does not fail for the sake of one run whose take-up cannot be committed', async () => {
    const built = await open({})
    const { id, runId } = await running(built)
    await built.crash({ recoveryDelayMs: never })
    const store = new FaultStore(built.store.real)
    const puppet = new Puppet()
    const agents = new TestAgents({ hand: { root: puppet } })
    const manager = new SessionManager({ store, agents, recovery: 'resume', recoveryDelayMs: 0 })
    onTestFinished(() => manager.close())
    store.fail('refused')
    expect(await codeOf(manager.start())).toBeUndefined()
    await (await puppet.next()).end()
    expect(await manager.waitStopped(id, patience)).toBe(true)
    expect(await manager.getRun(id, runId)).toMatchObject({ status: 'completed', attempt: 2 })
  })

  it('that is ended meanwhile takes no work, and leaves the runs to the next process', async () => {
    const built = await open({ recoveryAttempts: 2 })
    const { id } = await running(built)
    await built.crash({ recoveryDelayMs: never })
    const store = new FaultStore(built.store.real)
    const agents = new TestAgents({ hand: { root: new Puppet() } })
    const manager = new SessionManager({ store, agents, recovery: 'resume' })
    store.hold()
    const starting = manager.start()
    await vi.waitUntil(() => store.waiting > 0, patience)
    const drained = manager.drain(patience)
    store.release()
    await starting
    expect([manager.phase, await codeOf(manager.createSession())]).toEqual(['closed', 'shutting_down'])
    expect(await drained).toBe(0)
    await manager.close()
    const next = await build(built.store.real, { recovery: 'resume', recoveryAttempts: 2 })
    await (await next.puppet.next()).end()
    expect(await next.manager.waitStopped(id, patience)).toBe(true)
  })
})
