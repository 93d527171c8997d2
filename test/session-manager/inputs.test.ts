import { describe, expect, it } from 'vitest'
import type { InputMessage } from '../../src/protocol/protocol.ts'
import { RunFailure } from '../../src/runtime/runtime.ts'
import {
  backends,
  codeOf,
  eventsOf,
  follow,
  type House,
  patience,
  readLog,
  rested,
  running,
  texts,
  useStore,
} from './house.ts'
import { Puppet, type PuppetRun, runtimeOf } from './test-agents.ts'

const say = (...contents: readonly string[]): InputMessage[] => contents.map((content) => ({ content }))
const stop = { by: 'a tester', reason: 'enough' }

async function depths({ manager }: House, id: string): Promise<readonly number[]> {
  const { steer, followup } = await manager.getQueue(id)
  return [steer.depth, followup.depth]
}

function asked(run: PuppetRun): readonly (string | undefined)[] {
  return run.context.history.map((item) => item.message?.message.content)
}

describe.each(backends)('inputs over $over', (backend) => {
  const house = useStore(backend)

  it('lets steering of an idle session wait for the next run (M2)', async () => {
    const built = await house()
    const { manager, puppet } = built
    const id = await rested(built)
    await manager.steerSession(id, say('a', 'b'))
    expect(await depths(built, id)).toEqual([2, 0])
    expect((await manager.getSessionStatus(id)).streaming).toBe(false)
    await manager.runSession(id, { source: 'hand' }, { messages: say('go') })
    const run = await puppet.next()
    expect(run.steering()).toEqual(['a', 'b'])
    expect(run.steering()).toEqual([])
    await run.end()
    await manager.waitStopped(id, patience)
    expect(texts((await manager.getSession(id)).messages)).toEqual(['begin', 'go', 'a', 'b'])
  })

  it('delivers steering to the run that goes on and tells it with its ids (M2)', async () => {
    const built = await house()
    const { manager } = built
    const { id, runId, run } = await running(built)
    await manager.steerSession(id, [{ content: 'look', multi_content: [{ type: 'text', text: 'here' }] }])
    const [taken] = run.context.takeSteering()
    expect(taken?.message).toMatchObject({ role: 'user', content: 'look', multi_content: [{ text: 'here' }] })
    await run.end()
    await manager.waitStopped(id, patience)
    const told = eventsOf(await readLog(manager, id), 'user_message').at(-1)
    expect(told).toMatchObject({ message: 'look', run_id: runId, message_id: taken?.id, session_position: 1 })
    expect(told?.input_id).toBeDefined()
  })

  it.each([
    ['normally', (run: PuppetRun) => run.end()],
    ['with a failure', (run: PuppetRun) => run.fail(new RunFailure('model_error', 'down'))],
  ])('starts the next run with steering that a run ended %s without taking (M2)', async (_, end) => {
    const built = await house()
    const { manager, puppet } = built
    const { id, run } = await running(built)
    await manager.steerSession(id, say('wait', 'for me'))
    await end(run)
    const next = await puppet.next()
    expect(asked(next).slice(-2)).toEqual(['wait', 'for me'])
    expect((await manager.getSessionStatus(id)).streaming).toBe(true)
    await next.end()
    await manager.waitStopped(id, patience)
    expect(await depths(built, id)).toEqual([0, 0])
    expect((await manager.getRuns(id, { limit: 1 })).entries[0]).toMatchObject({
      trigger: 'queue',
      status: 'completed',
    })
  })

  it('starts a run at once with a follow-up of an idle session', async () => {
    const built = await house()
    const { manager, puppet } = built
    const id = await rested(built)
    expect(await manager.followUpSession(id, say('and then'))).toEqual({ streaming: true, duplicate: false })
    const run = await puppet.next()
    expect(asked(run)).toEqual(['begin', 'and then'])
    await run.end()
  })

  it('takes one follow-up of the run that goes on at a time, in order (M2)', async () => {
    const built = await house()
    const { manager, puppet } = built
    const { id, run } = await running(built)
    await manager.followUpSession(id, say('a', 'b'))
    await manager.followUpSession(id, say('c'))
    expect([run.followUp(), await depths(built, id)]).toEqual(['a', [0, 2]])
    await run.end()
    const second = await puppet.next()
    expect(asked(second).at(-1)).toBe('b')
    expect([second.followUp(), second.followUp()]).toEqual(['c', undefined])
    await second.end()
    expect(await manager.waitStopped(id, patience)).toBe(true)
  })

  it('holds follow-ups of a run that failed until the next input', async () => {
    const built = await house()
    const { manager, puppet } = built
    const { id, run } = await running(built)
    await manager.followUpSession(id, say('held'))
    await run.fail(new RunFailure('model_error', 'down'))
    await manager.waitStopped(id, patience)
    expect(await depths(built, id)).toEqual([0, 1])
    await manager.followUpSession(id, say('again'))
    const next = await puppet.next()
    expect([asked(next).at(-1), next.followUp()]).toEqual(['held', 'again'])
    await next.end()
  })

  it.each([
    ['steer', 5, 'steer_queue_full'],
    ['followup', 20, 'followup_queue_full'],
  ] as const)('takes a %s list whole or refuses it whole', async (kind, capacity, code) => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    const send = (count: number) => {
      const messages = say(...Array.from({ length: count }, (_, index) => `${index}`))
      return codeOf(
        kind === 'steer' ? manager.steerSession(id, messages) : manager.followUpSession(id, messages, 'key'),
      )
    }
    expect(await send(capacity + 1)).toBe(code)
    expect(await depths(built, id)).toEqual([0, 0])
    expect(await send(capacity - 1)).toBeUndefined()
    if (kind === 'steer') expect(await send(2)).toBe(code)
    expect((await manager.getQueue(id))[kind].depth).toBe(capacity - 1)
    await manager.cancelRun(id, stop, { waitMs: patience })
    await run.left
  })

  it('says of what does not fit where it stands, how many wait and how many can', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    await manager.steerSession(id, say('a', 'b', 'c', 'd'))
    const message = 'there is no room for 2: 4 wait, and 5 can'
    await expect(manager.steerSession(id, say('e', 'f'))).rejects.toMatchObject({
      details: [{ path: 'body.messages', message }],
    })
    await manager.steerSession(id, say('e'))
    await manager.followUpSession(id, say('f'))
    const promoted = manager.updateInput(id, (await manager.getInputs(id)).at(-1)?.id ?? '', { kind: 'steer' })
    await expect(promoted).rejects.toMatchObject({ details: [{ path: 'body.kind' }] })
    await manager.cancelRun(id, stop, { waitMs: patience })
    await run.left
  })

  it('stops a run, records who and why, and says so as often as it is asked', async () => {
    const built = await house()
    const { manager } = built
    const { id, runId, run } = await running(built)
    await run.say('cut')
    const first = await manager.cancelRun(id, stop, { waitMs: patience })
    expect(first).toMatchObject({ stopped: true, run: { run_id: runId, status: 'canceled', canceled: stop } })
    for (const request of [{}, { runId }]) {
      const again = await manager.cancelRun(id, { by: 'another' }, { ...request, waitMs: 0 })
      expect(again.stopped).toBe(true)
      if (again.run !== undefined) expect(again.run).toEqual(first.run)
    }
    expect(await manager.getRun(id, runId)).toEqual(first.run)
    expect(eventsOf(await readLog(manager, id), 'stream_stopped')).toMatchObject([{ reason: 'canceled' }])
    const last = (await manager.getSession(id)).messages?.at(-1)
    expect(last?.message).toMatchObject({ content: 'cut', finish_reason: 'interrupted' })
    expect(await codeOf(manager.cancelRun(id, stop, { runId: 'nobody', waitMs: 0 }))).toBe('unknown_run')
  })

  it('keeps the first of two stops, and says when the run has not left in time', async () => {
    const puppet = new Puppet({ stubborn: true })
    const built = await house({ puppet })
    const { manager } = built
    const { id, run } = await running(built)
    expect(await manager.cancelRun(id, stop, { waitMs: 0 })).toMatchObject({ stopped: false, run: { canceled: stop } })
    expect(await manager.cancelRun(id, { by: 'another' }, { waitMs: 0 })).toMatchObject({ run: { canceled: stop } })
    expect(run.context.signal.aborted).toBe(true)
    await run.end()
    expect(await manager.cancelRun(id, stop, { waitMs: patience })).toMatchObject({ stopped: true })
    expect(eventsOf(await readLog(manager, id), 'stream_stopped')).toMatchObject([{ reason: 'canceled' }])
  })

  it('holds what was queued before a stop, and starts a run with what came after it', async () => {
    const puppet = new Puppet({ stubborn: true })
    const built = await house({ puppet })
    const { manager } = built
    const held = await running(built)
    await manager.followUpSession(held.id, say('before'))
    await manager.steerSession(held.id, say('steered before'))
    await manager.cancelRun(held.id, stop, { waitMs: 0 })
    expect([held.run.steering(), held.run.followUp()]).toEqual([[], undefined])
    await held.run.end()
    await manager.waitStopped(held.id, patience)
    expect(await depths(built, held.id)).toEqual([1, 1])
    expect((await manager.getSessionStatus(held.id)).streaming).toBe(false)

    const again = await running(built)
    await manager.followUpSession(again.id, say('before'))
    await manager.cancelRun(again.id, stop, { waitMs: 0 })
    await manager.followUpSession(again.id, say('after'))
    await again.run.end()
    const next = await puppet.next()
    expect([asked(next).at(-1), next.followUp()]).toEqual(['before', 'after'])
    await next.end()
  })

  it('takes back the start of a run that a stop finds on its way', async () => {
    const built = await house()
    const { manager, agents, puppet } = built
    const id = await rested(built)
    const loading = Promise.withResolvers<void>()
    agents.loading = loading.promise
    await manager.followUpSession(id, say('held'))
    expect(await manager.cancelRun(id, stop, { waitMs: patience })).toEqual({ stopped: true, run: undefined })
    loading.resolve()
    await manager.followUpSession(id, say('new'))
    const run = await puppet.next()
    expect([asked(run).at(-1), run.followUp(), puppet.unseen]).toEqual(['held', 'new', 0])
    await run.end()
  })

  it('starts the queue although a start that came too late still gives its runtime back (M2)', async () => {
    const built = await house()
    const { manager, agents, puppet } = built
    const id = await rested(built)
    const [loading, closing] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    agents.loading = loading.promise
    await manager.followUpSession(id, say('queued'))
    agents.loading = Promise.resolve()
    const mine = new Puppet()
    const attachment = await manager.attachRuntime(id, runtimeOf('root', mine))
    await manager.runSession(id, { source: 'hand' }, { messages: say('first') })
    const run = await mine.next()
    attachment.detach()
    agents.closing = closing.promise
    loading.resolve()
    await manager.updateSessionTitle(id, 'settled')
    await run.end()
    const next = await puppet.next()
    expect(asked(next).at(-1)).toBe('queued')
    closing.resolve()
    await next.end()
    expect(await manager.waitStopped(id, patience)).toBe(true)
  })

  it('starts the queue of a session that was loaded again because a commit of it has failed (M2)', async () => {
    const built = await house({ recovery: 'resume' })
    const { manager, store, agents, puppet } = built
    const id = await rested(built)
    const loading = Promise.withResolvers<void>()
    agents.loading = loading.promise
    await manager.followUpSession(id, [{ content: 'waits' }])
    store.fail('refused')
    expect(await codeOf(manager.updateSessionTitle(id, 'lost'))).toBe('store_unavailable')
    loading.resolve()
    await (await puppet.next()).end()
    expect(await manager.getInputs(id)).toEqual([])
  })

  it('gives a late runtime nothing, so that nothing is lost (M2)', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    await run.end()
    await manager.waitStopped(id, patience)
    await manager.steerSession(id, say('for the next'))
    expect([run.steering(), run.followUp()]).toEqual([[], undefined])
    expect(await depths(built, id)).toEqual([1, 0])
  })

  it('takes a follow-up with a used key for what it is (M5)', async () => {
    const built = await house()
    const { manager, puppet } = built
    const id = await rested(built)
    const twice = await Promise.all([
      manager.followUpSession(id, say('once'), 'key'),
      manager.followUpSession(id, say('once'), 'key'),
    ])
    expect(twice.map(({ duplicate }) => duplicate)).toEqual([false, true])
    expect((await manager.followUpSession(id, say('once'), 'key')).duplicate).toBe(true)
    expect((await manager.followUpSession(id, say('other'), 'other key')).duplicate).toBe(false)
    const run = await puppet.next()
    expect([asked(run).at(-1), run.followUp(), run.followUp()]).toEqual(['once', 'other', undefined])
    await run.end()
    const other = await rested(built)
    expect((await manager.followUpSession(other, say('elsewhere'), 'key')).duplicate).toBe(false)
    await (await puppet.next()).end()
  })

  it('remembers a key in the next process (M5)', async () => {
    const built = await house()
    const id = await rested(built)
    await built.manager.followUpSession(id, say('once'), 'key')
    await (await built.puppet.next()).end()
    const next = await built.crash()
    expect((await next.manager.followUpSession(id, say('once'), 'key')).duplicate).toBe(true)
    expect((await next.manager.getSessionStatus(id)).streaming).toBe(false)
  })

  it('frees the key of a follow-up that was refused or could not be committed (M5)', async () => {
    const built = await house()
    const { manager, store, puppet } = built
    const id = await rested(built)
    const many = say(...Array.from({ length: 21 }, () => 'x'))
    expect(await codeOf(manager.followUpSession(id, many, 'key'))).toBe('followup_queue_full')
    store.fail('refused')
    expect(await codeOf(manager.followUpSession(id, say('x'), 'key'))).toBe('store_unavailable')
    expect(await manager.followUpSession(id, say('x'), 'key')).toEqual({ streaming: true, duplicate: false })
    await (await puppet.next()).end()
  })

  it('keeps the queue over restarts, in order (M2)', async () => {
    const built = await house()
    const { id } = await running(built)
    await built.manager.followUpSession(id, say('a', 'b'))
    await built.manager.steerSession(id, say('c'))
    const next = await (await built.crash()).restart()
    expect(await depths(next, id)).toEqual([1, 2])
    await next.manager.followUpSession(id, say('d'))
    const run = await next.puppet.next()
    expect(asked(run).at(-1)).toBe('c')
    expect([run.followUp(), run.followUp(), run.followUp()]).toEqual(['a', 'b', 'd'])
    await run.end()
  })

  it('counts the inputs of a session that is followed while they come', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    const since = await manager.lastEventSeq(id)
    const told = follow(manager, id, 'user_message', since)
    await manager.steerSession(id, say('steered'))
    run.steering()
    expect((await told).event).toMatchObject({ message: 'steered' })
    await run.end()
  })
})
