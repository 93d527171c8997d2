import { setImmediate as tick } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { RunLeftBehind } from '../../src/session-manager/runs/run-watch.ts'
import { standStill } from '../stand-still.ts'
import { backends, eventsOf, follow, patience, readLog, running, texts, typesOf, useStore } from './house.ts'
import { approval, Puppet, runtimeOf } from './test-agents.ts'

const soon = 5

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await tick()
}

describe.each(backends)('a run that does not leave over $over', (backend) => {
  const house = useStore(backend)
  const deaf = () => new Puppet({ stubborn: true })

  it('is left behind after a stop, and ends as canceled; its session goes on without it (M1, M4, M6)', async () => {
    const built = await house({ puppet: deaf(), detachAfterMs: soon, maxConcurrentRuns: 1 })
    const { manager, puppet, defects, agents } = built
    const { id, runId, run } = await running(built)
    await run.say('half')
    const stop = await manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    expect(stop).toMatchObject({ stopped: true, run: { status: 'canceled', reason: 'canceled' } })
    const log = await readLog(manager, id)
    expect(typesOf(log).slice(-3)).toEqual(['message_added', 'run_detached', 'stream_stopped'])
    expect(eventsOf(log, 'run_detached')).toMatchObject([{ run_id: runId, reason: 'stop_ignored' }])
    expect(defects).toEqual([new RunLeftBehind(runId)])
    expect(agents.live).toBe(1)

    await manager.runSession(id, { source: 'hand' }, { messages: [{ content: 'again' }] })
    const next = await puppet.next()
    const before = await readLog(manager, id)
    await run.say('too late')
    await run.left
    expect(await readLog(manager, id)).toEqual(before)
    await until(() => agents.live === 1)
    await next.answer('whole')
    await next.end()
    await manager.waitStopped(id, patience)
    expect(texts((await manager.getSessionSnapshot(id)).messages)).toEqual(['begin', 'half', 'again', 'whole'])
    await until(() => agents.live === 0)
    expect(defects).toHaveLength(1)
  })

  it('is given its time when the process stood still meanwhile', async () => {
    const built = await house({ detachAfterMs: 500, puppet: new Puppet({ stubborn: true }) })
    const { manager } = built
    const { id, runId, run } = await running(built)
    await manager.cancelRun(id, { by: 'test' }, { waitMs: 0 })
    await standStill(600)
    await run.end()
    await manager.waitStopped(id, patience)
    expect(typesOf(await readLog(manager, id))).not.toContain('run_detached')
    expect(await manager.getRun(id, runId)).toMatchObject({ status: 'canceled' })
    expect(built.defects).toEqual([])
  })

  it('can change nothing any more: it takes no input, asks nobody and hands nothing over', async () => {
    const built = await house({ puppet: deaf(), detachAfterMs: soon })
    const { id, run } = await running(built)
    await built.manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    await built.manager.steerSession(id, [{ content: 'for the next one' }])
    expect([run.steering(), run.followUp()]).toEqual([[], undefined])
    await expect(run.ask(approval('late'))).rejects.toThrow('the run was stopped')
    await run.fail(new TypeError('nobody wants to know'))
    expect((await built.manager.getQueue(id)).steer.depth).toBe(1)
    expect(built.defects).toEqual([expect.any(RunLeftBehind)])
  })

  it('does not keep a deleted session, nor those who wait for its end', async () => {
    const built = await house({ puppet: deaf(), detachAfterMs: soon })
    const { id, run } = await running(built)
    expect(await built.manager.deleteSession(id, patience)).toEqual({ left: true })
    await run.end()
    await until(() => built.agents.live === 0)
  })

  it('is left behind also when it has ended and only holds on to what it had', async () => {
    const built = await house({ detachAfterMs: soon })
    const { manager, agents } = built
    const { id, run } = await running(built)
    const gate = Promise.withResolvers<void>()
    agents.closing = gate.promise
    await run.end()
    const stop = await manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    expect(stop).toMatchObject({ stopped: true, run: { status: 'canceled' } })
    gate.resolve()
    await until(() => agents.live === 0)
  })

  it('does not take the run along that waits for it', async () => {
    const built = await house({ detachAfterMs: 50 })
    const { manager } = built
    const { id, run } = await running(built)
    const worker = deaf()
    const open = () => runtimeOf('worker', worker)
    const task = await run.context.tasks.begin({ open, task: 'work', title: 'work', callId: 'c', isBackground: false })
    const work = await worker.next()
    await manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    const detached = eventsOf(await readLog(manager, id), 'run_detached')
    expect(detached).toMatchObject([{ session_id: task.id, reason: 'stop_ignored' }])
    expect(built.defects).toHaveLength(1)
    await work.end()
  })
})

describe.each(backends)('a run that tells nothing over $over', (backend) => {
  const house = useStore(backend)

  it('fails as stuck when nothing goes on in it (M4, M6)', async () => {
    const built = await house({ runSilenceMs: soon })
    const { manager } = built
    const { id, runId } = await running(built)
    await follow(manager, id, 'stream_stopped')
    expect(await manager.getRun(id, runId)).toMatchObject({
      status: 'failed',
      reason: 'error',
      error: { code: 'stuck' },
    })
    expect(typesOf(await readLog(manager, id)).slice(-2)).toEqual(['error', 'stream_stopped'])
    expect(built.defects).toEqual([])
  })

  it('is left behind when it takes no notice even then', async () => {
    const built = await house({ runSilenceMs: soon, detachAfterMs: soon, puppet: new Puppet({ stubborn: true }) })
    const { manager } = built
    const { id, runId, run } = await running(built)
    await follow(manager, id, 'stream_stopped')
    const log = await readLog(manager, id)
    expect(typesOf(log).slice(-3)).toEqual(['error', 'run_detached', 'stream_stopped'])
    expect(eventsOf(log, 'run_detached')).toMatchObject([{ reason: 'stuck' }])
    expect(await manager.getRun(id, runId)).toMatchObject({ status: 'failed', error: { code: 'stuck' } })
    await run.end()
  })

  const model = { type: 'agent_info', agent_name: 'root', model: 'test/m', description: '' } as const
  const tool_definition = { name: 'shell', category: '', parameters: {}, annotations: {}, outputSchema: {} }
  const tool_call = { id: 'c', type: 'function', function: { name: 'shell', arguments: '{}' } }

  it('is let alone while a model, a tool, a hook, a person or a task is waited for', async () => {
    const built = await house({ runSilenceMs: 20 })
    const { manager, puppet } = built
    const waits = [
      (run: Awaited<ReturnType<typeof puppet.next>>) => run.tell(model),
      (run: Awaited<ReturnType<typeof puppet.next>>) =>
        run.tell({ type: 'tool_call', agent_name: 'root', tool_call, tool_definition }),
      (run: Awaited<ReturnType<typeof puppet.next>>) => run.tell({ type: 'hook_started', hook_event: 'stop' }),
      async (run: Awaited<ReturnType<typeof puppet.next>>) => void run.ask(approval('a')).catch(() => {}),
    ]
    const waiting = []
    for (const wait of waits) {
      const one = await running(built)
      await wait(one.run)
      waiting.push(one)
    }
    const above = await running(built)
    const worker = new Puppet()
    const open = () => runtimeOf('worker', worker)
    const task = await above.run.context.tasks.begin({
      open,
      task: 'work',
      title: 'work',
      callId: 'c',
      isBackground: false,
    })
    await (await worker.next()).tell(model)
    // Whatever would end them has had its time when a run that began later is ended for the same reason, twice.
    for (const _ of [1, 2]) await follow(manager, (await running(built)).id, 'stream_stopped')
    for (const { id } of [...waiting, above, task]) {
      expect((await manager.getSessionSnapshot(id)).streaming).toBe(true)
      expect((await manager.explainSession(id)).reason).not.toBe('stuck')
    }
  })
})
