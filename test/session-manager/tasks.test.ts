import { setImmediate as tick } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Delegation } from '../../src/runtime/runtime.ts'
import { backends, codeOf, eventsOf, patience, readLog, running, texts, typesOf, useStore } from './house.ts'
import { added, approval, elicitation, Puppet, type PuppetRun, runtimeOf } from './test-agents.ts'

function taskOf(worker: Puppet, more: Partial<Delegation> = {}): Delegation {
  return {
    open: () => runtimeOf('worker', worker),
    task: 'work',
    title: 'work',
    isBackground: false,
    callId: 'call',
    ...more,
  }
}

/** A task that has begun: its session, and its run, which a puppet carries out. */
async function handedOver(run: PuppetRun, more: Partial<Delegation> = {}) {
  const worker = new Puppet()
  const { id } = await run.context.tasks.begin(taskOf(worker, more))
  return { id, run: await worker.next() }
}

/** The same, ended. */
async function done(run: PuppetRun, more: Partial<Delegation> = {}): Promise<string> {
  const task = await handedOver(run, more)
  await task.run.answer('done')
  await task.run.end()
  await run.context.tasks.ended(task.id)
  return task.id
}

/** Long enough for everything that waits for nothing from outside. */
async function breathe(): Promise<void> {
  for (let ticks = 0; ticks < 50; ticks += 1) await tick()
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true
  promise.then(
    () => {
      pending = false
    },
    () => {
      pending = false
    },
  )
  await breathe()
  return pending
}

describe.each(backends)('Tasks, over $over', (backend) => {
  const newHouse = useStore(backend)

  /** A session with a run, and what it shows of itself. */
  async function family() {
    const house = await newHouse()
    const { id, runId, run } = await running(house)
    const shown = async () => {
      const { messages, cost, spent } = await house.manager.getSessionSnapshot(id)
      const { num_messages } = await house.manager.getSessionStatus(id)
      return { texts: texts(messages), num_messages, cost, spent }
    }
    return { house, manager: house.manager, id, runId, run, shown }
  }

  test('leaves a session alone that goes on by itself after its task', async () => {
    const { house, manager, id, run } = await family()
    const child = await done(run)
    const { run: own } = await manager.runSession(child, { source: 'hand' }, { messages: [{ content: 'more' }] })
    const second = await house.puppet.next()
    await run.end()
    await manager.waitStopped(id, patience)
    expect(await manager.getRun(child, own.run_id)).toMatchObject({ status: 'running' })
    await second.end()
    await manager.waitStopped(child, patience)
    expect(await manager.getRun(child, own.run_id)).toMatchObject({ status: 'completed' })
  })

  test('lets one begin its work when its beginning is committed above too', async () => {
    const { house, run } = await family()
    const worker = new Puppet()
    house.store.hold(run.context.conversation)
    const begun = run.context.tasks.begin(taskOf(worker))
    await breathe()
    expect([worker.unseen, worker.active.size]).toEqual([0, 0])
    house.store.release()
    const work = await worker.next()
    await work.answer('done')
    await work.end()
    const { id: child } = await begun
    expect(await run.context.tasks.ended(child)).toMatchObject({ status: 'completed', output: 'done' })
  })

  test('shows one as running until its end is committed, and as ended from then on', async () => {
    const { house, run } = await family()
    const task = await handedOver(run, { isBackground: true })
    house.store.hold(task.id)
    await task.run.answer('done')
    await task.run.end()
    const ended = run.context.tasks.ended(task.id)
    expect(await isPending(ended)).toBe(true)
    house.store.release()
    expect(await ended).toMatchObject({ status: 'completed', output: 'done' })
    expect(run.context.tasks.background()).toMatchObject([{ status: 'completed', output: 'done' }])
  })

  test('are stopped, and set, for good before anybody is told so', async () => {
    const { house, manager, id, run } = await family()
    const task = await handedOver(run)
    const deep = await handedOver(task.run, { isBackground: true })
    for (const change of [
      () => manager.setSessionSafetyPolicy(id, 'strict'),
      () => manager.cancelRun(id, { by: 'test' }, { waitMs: 0 }),
    ]) {
      house.store.hold(deep.id)
      await deep.run.say('x')
      const changed = change()
      expect(await isPending(changed)).toBe(true)
      house.store.release()
      await changed
    }
    const [stopped] = (await manager.getRuns(deep.id, { limit: 1 })).entries
    expect(stopped?.canceled).toBeDefined()
  })

  test('say what came of them also while too much waits to be written', async () => {
    const { house, manager, id, run } = await family()
    const task = await handedOver(run, { isBackground: true, recall: true })
    await run.end()
    await manager.waitStopped(id, patience)
    await task.run.answer('found it')
    house.store.pressure = new Promise(() => {})
    await task.run.end()
    const told = await house.puppet.next()
    expect(told.context.history.at(-1)?.message?.message.content).toContain('found it')
    house.store.pressure = undefined
    await told.end()
    await manager.waitStopped(id, patience)
  })

  test.each(['while it runs', 'when it rests'])('stops those far below with a session, %s', async (when) => {
    const { manager, id, run } = await family()
    const task = await handedOver(run)
    const deep = await handedOver(task.run, { isBackground: true })
    await task.run.end()
    await run.context.tasks.ended(task.id)
    if (when === 'when it rests') {
      await run.end()
      await manager.waitStopped(id, patience)
    }
    await manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    await deep.run.left
    expect((await manager.getRuns(deep.id, { limit: 1 })).entries).toMatchObject([{ status: 'canceled' }])
  })

  test('stops what a stopped one has begun and does not wait for', async () => {
    const { manager, run } = await family()
    const task = await handedOver(run)
    const deep = await handedOver(task.run, { isBackground: true })
    await run.context.tasks.stop(task.id)
    await deep.run.left
    expect((await manager.getRuns(deep.id, { limit: 1 })).entries).toMatchObject([{ status: 'canceled' }])
    await run.end()
  })

  test('closes the runtime of one that cannot begin any more', async () => {
    const house = await newHouse({ puppet: new Puppet({ stubborn: true }) })
    const { id, run } = await running(house)
    await house.manager.cancelRun(id, { by: 'test' }, { waitMs: 0 })
    let open = 0
    const opened = () => {
      open += 1
      const close = async () => {
        open -= 1
      }
      return { ...runtimeOf('worker', new Puppet()), close }
    }
    await expect(run.context.tasks.begin(taskOf(new Puppet(), { open: opened }))).rejects.toThrow()
    expect(open).toBe(0)
    await run.end()
  })

  test('are not read above before they are committed (L4)', async () => {
    const { house, manager, id, run } = await family()
    const child = await done(run)
    await manager.runSession(child, { source: 'hand' }, { messages: [{ content: 'more' }] })
    const own = await house.puppet.next()
    house.store.hold(child)
    await own.answer('not yet')
    const reads = [
      manager.getSessionSnapshot(id),
      manager.getSession(id),
      manager.getMessages(id, { limit: 9, from: 0 }),
    ]
    for (const read of reads) expect(await isPending(read)).toBe(true)
    house.store.release()
    await Promise.all(reads)
    await own.end()
    await run.end()
  })

  test('are not shown any more once they are deleted, though their run has not left', async () => {
    const { manager, run, shown } = await family()
    const worker = new Puppet({ stubborn: true })
    const { id: child } = await run.context.tasks.begin(taskOf(worker))
    const work = await worker.next()
    await manager.deleteSession(child)
    expect(await shown()).toMatchObject({ texts: ['begin'], num_messages: 1 })
    await work.answer('too late')
    await work.end()
    expect(await run.context.tasks.ended(child)).toBeDefined()
    expect(await shown()).toMatchObject({ texts: ['begin'], num_messages: 1 })
    await run.end()
  })

  test('are deleted with a parent also while they are being deleted themselves', async () => {
    const { manager, id, run } = await family()
    const worker = new Puppet({ stubborn: true })
    const { id: child } = await run.context.tasks.begin(taskOf(worker))
    const work = await worker.next()
    await manager.deleteSession(child)
    expect(await codeOf(manager.deleteSession(id))).toBeUndefined()
    await work.end()
    await manager.waitStopped(id, patience)
    expect(await codeOf(manager.getSession(id))).toBe('unknown_session')
  })

  test('cannot be used any more once a parent is being deleted', async () => {
    const { house, manager, run, id } = await family()
    const child = await done(run)
    await run.end()
    await manager.waitStopped(id, patience)
    const next = await house.restart()
    next.store.hold(id)
    const deletion = next.manager.deleteSession(id)
    const begun = next.manager.runSession(child, { source: 'hand' }, { messages: [{ content: 'more' }] })
    expect(await codeOf(begun)).toBe('unknown_session')
    next.store.release()
    await deletion
    expect(next.store.children(id)).toEqual([])
    expect(next.store.session(child)).toBeUndefined()
  })

  test('count above also when they go on by themselves, and no more when they are deleted', async () => {
    const { house, manager, run, shown } = await family()
    const child = await done(run)
    expect(await shown()).toMatchObject({ texts: ['begin', 'work', 'done'], num_messages: 3 })
    await manager.runSession(child, { source: 'hand' }, { messages: [{ content: 'more' }] })
    const own = await house.puppet.next()
    const usage = { input_tokens: 1, output_tokens: 2, cached_input_tokens: 0, cached_write_tokens: 0 }
    await own.answer('more of it', { usage, cost: 2 })
    await own.end()
    await manager.waitStopped(child, patience)
    const after = await shown()
    expect(after).toMatchObject({ num_messages: 5, cost: 2, spent: { cost: 2, tokens: 3 } })
    expect(after.texts).toHaveLength(5)
    await manager.deleteSession(child)
    expect(await shown()).toMatchObject({ texts: ['begin'], num_messages: 1, spent: { cost: 2, tokens: 3 } })
    await run.end()
  })

  test('are answered from above also when they ask in a run of their own (M3)', async () => {
    const { house, manager, id, run } = await family()
    const child = await done(run)
    await manager.runSession(child, { source: 'hand' }, { messages: [{ content: 'more' }] })
    const own = await house.puppet.next()
    const answers = [own.ask(approval('a')), own.ask(approval('b')), own.ask(elicitation('c'))]
    await manager.getRequests(child)
    const { entries } = await manager.findSessionRequests(id, { state: 'open', limit: 9 })
    const [a, b, c] = entries.map((request) => request.id)
    const approve = { confirmation: 'approve' } as const
    expect(await manager.answerRequest(id, a ?? '', approve)).toMatchObject({ state: 'answered', decider: 'client' })
    await manager.resumeSession(id, { ...approve, request_id: b })
    await manager.resumeElicitation(id, { action: 'decline', request_id: c })
    expect(await Promise.all(answers)).toEqual([approve, approve, { action: 'decline' }])
    expect(await codeOf(manager.answerRequest(id, a ?? '', approve))).toBe('request_settled')
    await own.end()
    await manager.waitStopped(child, patience)
    await run.end()
  })

  test('count above when they go on after the task that began them', async () => {
    const { run, shown } = await family()
    const task = await handedOver(run)
    const deep = await handedOver(task.run, { isBackground: true })
    await task.run.end()
    await run.context.tasks.ended(task.id)
    await deep.run.answer('deep', { cost: 1 })
    expect(await shown()).toMatchObject({ texts: ['begin', 'work', 'work', 'deep'], num_messages: 4, cost: 1 })
    await deep.run.end()
    await run.end()
  })

  test('count above what they were saying when the process died', async () => {
    const { house, manager, id, run } = await family()
    const task = await handedOver(run)
    await task.run.say('half an ans')
    await run.say('meanwhile')
    await manager.getSessionSnapshot(id)
    await manager.getSessionSnapshot(task.id)
    const { manager: next } = await house.crash()
    const { messages } = await next.getSessionSnapshot(id)
    expect(texts(messages)).toEqual(['begin', 'work', 'half an ans', 'meanwhile'])
    expect(await next.getSessionStatus(id)).toMatchObject({ num_messages: 4 })
  })

  test('count above what was committed below alone when the process died', async () => {
    const { house, manager, id, run } = await family()
    const task = await handedOver(run)
    house.store.hold(id)
    await task.run.answer('kept')
    await manager.getSessionStatus(task.id)
    const { manager: next } = await house.crash()
    const { messages } = await next.getSessionSnapshot(id)
    expect(texts(messages)).toEqual(['begin', 'work', 'kept'])
    expect(await next.getSessionStatus(id)).toMatchObject({ num_messages: 3 })
  })

  test.each(['above', 'below'])(
    'count above what they have cost when the process died before that was committed %s',
    async (where) => {
      const { house, id, run, shown } = await family()
      const task = await handedOver(run)
      const deep = await handedOver(task.run)
      const usage = { input_tokens: 1, output_tokens: 2, cached_input_tokens: 0, cached_write_tokens: 0 }
      await deep.run.answer('kept', { usage, cost: 2 })
      await shown()
      house.store.hold(where === 'above' ? id : deep.id)
      await deep.run.answer('half', { usage, cost: 4 })
      await breathe()
      const { manager: next } = await house.crash()
      const { cost, spent, messages } = await next.getSessionSnapshot(id)
      const kept = where === 'above' ? { cost: 6, tokens: 6 } : { cost: 2, tokens: 3 }
      expect(texts(messages)).toHaveLength(where === 'above' ? 5 : 4)
      expect([cost, spent]).toEqual([kept.cost, { ...kept, elapsed_seconds: 0 }])
      expect((await next.getSessionSnapshot(task.id)).spent).toEqual({ ...kept, elapsed_seconds: 0 })
    },
  )

  test('find their questions as they were after an end in order, in all logs alike', async () => {
    const { house, id, run } = await family()
    const task = await handedOver(run)
    const asked = task.run.ask(approval('a call'))
    asked.catch(() => {})
    await house.manager.getRequests(id)
    const { manager } = await house.restart()
    const [above] = eventsOf(await readLog(manager, id), 'request_settled')
    const [below] = eventsOf(await readLog(manager, task.id), 'request_settled')
    expect(above?.request).toMatchObject({ state: 'expired', decider: 'restart' })
    expect(below?.request).toMatchObject({ state: 'expired', decider: 'restart' })
    const stops = eventsOf(await readLog(manager, id), 'stream_stopped')
    expect(stops.map(({ reason }) => reason)).toEqual(['interrupted', 'interrupted'])
    const [stored] = (await manager.getRuns(task.id, { limit: 1 })).entries
    expect(stored?.canceled).toBeUndefined()
  })

  test('end even when what they did cannot be read', async () => {
    const { house, manager, id, run } = await family()
    const task = await handedOver(run)
    const deep = await done(task.run)
    await manager.deleteSession(deep)
    await manager.waitStopped(deep, patience)
    house.store.failReads(true)
    await task.run.end()
    await breathe()
    house.store.failReads(false)
    await run.end()
    await manager.waitStopped(id, patience)
    expect(typesOf(await readLog(manager, id)).filter((type) => type === 'stream_stopped')).toHaveLength(3)
    expect(house.defects).toHaveLength(1)
  })

  test('wait while too much waits to be committed above', async () => {
    const { house, id, run } = await family()
    const task = await handedOver(run)
    house.store.hold(id)
    for (let chunk = 0; chunk < 8; chunk += 1) await Promise.race([task.run.say('x'.repeat(1024 * 1024)), breathe()])
    expect(await isPending(task.run.say('one more'))).toBe(true)
    house.store.release()
    await task.run.end()
    await run.end()
  })

  test('begin anew in a fork, with nothing spent', async () => {
    const { manager, id, run } = await family()
    const task = await handedOver(run)
    const usage = { input_tokens: 1, output_tokens: 2, cached_input_tokens: 0, cached_write_tokens: 0 }
    await task.run.answer('done', { usage, cost: 1 })
    await task.run.end()
    await run.end()
    await manager.waitStopped(id, patience)
    await manager.runSession(id, { source: 'chat' }, { messages: [{ content: 'second' }] })
    const fork = await manager.forkSession(id, 2)
    const [copy] = await manager.getChildren(fork.id)
    expect((await manager.getSessionSnapshot(fork.id)).spent).toBeUndefined()
    expect((await manager.getSessionSnapshot(copy?.id ?? '')).spent).toBeUndefined()
  })

  test('are found while they run, however many have ended since', async () => {
    const { run } = await family()
    const first = await handedOver(run, { isBackground: true })
    const quick = runtimeOf('quick', {
      async *script() {
        yield added('quick')
        return 'normal'
      },
    })
    for (let count = 0; count < 101; count += 1) {
      const { id } = await run.context.tasks.begin(taskOf(new Puppet(), { open: () => quick }))
      await run.context.tasks.ended(id)
    }
    expect(run.context.tasks.background().map(({ id }) => id)).toEqual([first.id])
    await first.run.end()
    await run.end()
  })
})
