import { describe, expect, it } from 'vitest'
import type { Delegation } from '../../src/runtime/runtime.ts'
import {
  backends,
  codeOf,
  eventsOf,
  type House,
  patience,
  readLog,
  rested,
  running,
  texts,
  typesOf,
  useStore,
} from './house.ts'
import { approval, Puppet, type PuppetRun, runtimeOf } from './test-agents.ts'

/** A task that has begun: its session, and its run, which a puppet carries out. */
async function handedOver(run: PuppetRun, isBackground = false) {
  const worker = new Puppet()
  const open: Delegation['open'] = () => runtimeOf('worker', worker)
  const delegation = { open, task: 'work', title: 'work', isBackground, callId: 'call', recall: isBackground }
  const { id } = await run.context.tasks.begin(delegation)
  return { id, run: await worker.next() }
}

async function rollBack({ manager, puppet }: House, id: string): Promise<PuppetRun> {
  await manager.submit(id, { source: 'hand' }, { messages: [{ content: 'right' }], ifBusy: 'rollback' })
  return puppet.next()
}

/** Until a request that takes the place of a run has decided its stop, and that is committed. */
async function decided({ manager }: House, id: string): Promise<void> {
  for (;;) {
    const [run] = (await manager.getRuns(id, { limit: 1 })).entries
    if (run?.canceled !== undefined) return
  }
}

async function countOf({ manager }: House, id: string): Promise<number> {
  return (await manager.getSessionStatus(id)).num_messages
}

describe.each(backends)('rolling back over $over', (backend) => {
  const house = useStore(backend)

  it('takes the tasks of a run along, with what their tools have done told', async () => {
    const built = await house()
    const { manager, puppet } = built
    const id = await rested(built)
    await manager.runSession(id, { source: 'hand' }, { messages: [{ content: 'wrong' }] })
    const run = await puppet.next()
    const task = await handedOver(run)
    const { tool_call, tool_definition } = approval('below', 'write').content
    await task.run.tell({ type: 'tool_call', tool_call, tool_definition, agent_name: 'worker' })
    await task.run.answer('half', { cost: 3 })
    expect(await countOf(built, id)).toBe(4)
    const next = await rollBack(built, id)
    expect(await countOf(built, id)).toBe(2)
    const [told] = eventsOf(await readLog(manager, id), 'run_rolled_back')
    expect(told?.tools_run).toEqual([{ tool_call_id: 'below', name: 'write' }])
    expect(told?.message_ids).toHaveLength(3)
    const { messages, cost } = await manager.getSessionSnapshot(id)
    expect([texts(messages), cost]).toEqual([['begin', 'right'], 3])
    const { sessions } = await manager.batchExportSessions([id])
    expect(sessions[0]?.messages?.map(({ rolled_back = false }) => rolled_back)).toEqual([
      false,
      true,
      true,
      true,
      false,
    ])
    await next.end()
    await manager.waitStopped(id, patience)
    const { run: own } = await manager.runSession(task.id, { source: 'hand' }, { messages: [{ content: 'alone' }] })
    await (await puppet.next()).end()
    await manager.waitStopped(task.id, patience)
    expect((await manager.getRun(task.id, own.run_id)).status).toBe('completed')
    expect(await countOf(built, id)).toBe(2)
    expect(texts((await manager.forkSession(id, 1)).messages)).toEqual(['begin'])
    await manager.deleteSession(task.id)
    expect(await countOf(built, id)).toBe(2)
    const { manager: later } = await built.crash()
    expect((await later.getSessionStatus(id)).num_messages).toBe(2)
  })

  it('names every call that has run, also where a model uses an id again', async () => {
    const built = await house()
    const { id, run } = await running(built)
    for (const name of ['read', 'write', 'write']) {
      const { tool_call, tool_definition } = approval('0', name).content
      await run.tell({ type: 'tool_call', tool_call, tool_definition, agent_name: 'root' })
      await run.answer(name)
    }
    await (await rollBack(built, id)).end()
    const [told] = eventsOf(await readLog(built.manager, id), 'run_rolled_back')
    expect(told?.tools_run).toEqual(['read', 'write', 'write'].map((name) => ({ tool_call_id: '0', name })))
  })

  it('stops the background tasks of a run, which tell nobody', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    const task = await handedOver(run, true)
    const next = await rollBack(built, id)
    await manager.waitStopped(task.id, patience)
    expect((await manager.getRuns(task.id, { limit: 1 })).entries[0]?.status).toBe('canceled')
    expect(await manager.getInputs(id)).toEqual([])
    await next.end()
    expect(await countOf(built, id)).toBe(1)
  })

  it('moves the place of a summary in a fork to where its messages are then', async () => {
    const built = await house()
    const { manager, puppet } = built
    const { id } = await running(built)
    await (await rollBack(built, id)).end()
    await manager.waitStopped(id, patience)
    await manager.addSummary(id, { summary: 'what was', first_kept_entry: 1 })
    await manager.addMessage(id, { agent_name: '', message: { role: 'user', content: 'last' } })
    const fork = await manager.forkSession(id, 1)
    await manager.runSession(fork.id, { source: 'hand' }, { messages: [{ content: 'go' }] })
    const run = await puppet.next()
    expect(run.context.history.slice(0, 2)).toMatchObject([
      { message: { message: { content: 'right' } } },
      { summary: 'what was', first_kept_entry: 0 },
    ])
    await run.end()
  })

  it.each(['interrupt', 'resume'] as const)(
    'rolls back in the next process what was decided in the one before (%s, M4)',
    async (recovery) => {
      const built = await house({ puppet: new Puppet({ stubborn: true }), recovery })
      const { manager, puppet } = built
      const { id } = await manager.createSession()
      await manager.runSession(id, { source: 'hand' }, { messages: [{ content: 'kept' }] })
      await (await puppet.next()).end()
      await manager.waitStopped(id, patience)
      const { run } = await manager.runSession(id, { source: 'hand' }, { messages: [{ content: 'wrong' }] })
      const wrong = await puppet.next()
      const task = await handedOver(wrong)
      const background = await handedOver(wrong, true)
      const { tool_call, tool_definition } = approval('done', 'write').content
      await wrong.tell({ type: 'tool_call', tool_call, tool_definition, agent_name: 'root' })
      await wrong.answer('half', { cost: 3 })
      await wrong.say('and more')
      const call = manager.submit(id, { source: 'hand' }, { messages: [{ content: 'right' }], ifBusy: 'rollback' })
      await decided(built, id)
      const { manager: later } = await built.crash()
      void call
      expect(await later.getRun(id, run.run_id)).toMatchObject({ status: 'canceled', rolled_back: true })
      expect(await later.getRun(id, run.run_id)).not.toHaveProperty('rolls_back')
      const log = await readLog(later, id, run.first_seq - 1)
      const own = log.filter(({ event }) => event.run_id === run.run_id && event.type !== 'sub_session_completed')
      expect(typesOf(own).slice(-2)).toEqual(['run_rolled_back', 'stream_stopped'])
      expect(eventsOf(log, 'run_rolled_back')).toMatchObject([
        { from_seq: run.first_seq, tools_run: [{ tool_call_id: 'done', name: 'write' }] },
      ])
      const { messages, cost } = await later.getSessionSnapshot(id)
      expect([texts(messages), cost]).toEqual([['kept'], 3])
      expect(texts((await later.getSession(id)).messages)).toEqual(['kept'])
      expect((await later.getSessionStatus(id)).num_messages).toBe(1)
      expect(await codeOf(later.forkSession(id, 1))).toBe('invalid_request')
      const { sessions } = await later.batchExportSessions([id])
      expect(sessions[0]?.messages?.map(({ rolled_back = false }) => rolled_back)[0]).toBe(false)
      for (const below of [task.id, background.id]) {
        expect((await later.getRuns(below, { limit: 1 })).entries[0]?.status).not.toBe('running')
      }
      expect((await later.getRuns(background.id, { limit: 1 })).entries[0]?.canceled).toMatchObject({ by: 'parent' })
      expect(await later.getInputs(id)).toEqual([])
    },
  )

  it.each(['interrupt', 'rollback'] as const)(
    'lets what waited go on in the next process, and the request come again, when that died between the stop and the run that was to come (%s)',
    async (ifBusy) => {
      const built = await house({ puppet: new Puppet({ stubborn: true }), recovery: 'resume' })
      const { manager } = built
      const { id, runId } = await running(built, 'before')
      await manager.followUpSession(id, [{ content: 'waits' }])
      const options = { messages: [{ content: 'mine' }], ifBusy }
      const again = ({ manager: own }: House) =>
        own.once({ scope: 'test', key: id, fingerprint: '' }, () => own.submit(id, { source: 'hand' }, options))
      void again(built)
      await decided(built, id)
      const next = await built.crash()
      expect((await next.manager.getRun(id, runId)).status).toBe('canceled')
      await (await next.puppet.next()).end()
      await next.manager.waitStopped(id, patience)
      await again(next)
      await again(next)
      await (await next.puppet.next()).end()
      await next.manager.waitStopped(id, patience)
      const said = ifBusy === 'rollback' ? ['waits', 'mine'] : ['before', 'waits', 'mine']
      expect(texts((await next.manager.getSession(id)).messages)).toEqual(said)
    },
  )

  it('rolls back too when a commit fails before the run has left, and lets what waits go on', async () => {
    const built = await house({ puppet: new Puppet({ stubborn: true }), recovery: 'resume' })
    const { manager, puppet, store } = built
    const { id, runId, run } = await running(built)
    await manager.followUpSession(id, [{ content: 'waits' }])
    const call = codeOf(
      manager.submit(id, { source: 'hand' }, { messages: [{ content: 'right' }], ifBusy: 'rollback' }),
    )
    await decided(built, id)
    store.fail('refused')
    expect(await codeOf(manager.updateSessionTitle(id, 'x'))).toBe('store_unavailable')
    await run.end()
    expect(await call).toBe('store_unavailable')
    const next = await puppet.next()
    expect(await manager.getRun(id, runId)).toMatchObject({ status: 'canceled', rolled_back: true })
    expect(texts((await manager.getSession(id)).messages)).toEqual(['waits'])
    await next.end()
  })
})
