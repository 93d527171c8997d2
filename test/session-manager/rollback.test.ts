import { describe, expect, it } from 'vitest'
import type { Delegation } from '../../src/runtime/runtime.ts'
import { backends, eventsOf, type House, patience, readLog, rested, running, texts, useStore } from './house.ts'
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
})
