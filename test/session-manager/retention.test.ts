import { describe, expect, test } from 'vitest'
import type { IfBusy } from '../../src/protocol/protocol.ts'
import {
  backends,
  build,
  codeOf,
  collect,
  type House,
  patience,
  readLog,
  rested,
  running,
  typesOf,
  useStore,
} from './house.ts'
import { approval, Puppet, runtimeOf } from './test-agents.ts'

describe.each(backends)('Retention, over $over', (backend) => {
  const newHouse = useStore(backend)

  async function isThere({ manager }: House, id: string): Promise<boolean> {
    return (await codeOf(manager.getSession(id))) === undefined
  }

  /** A session with one below it that has done its task. */
  async function parent(house: House) {
    const { id, run } = await running(house)
    const worker = new Puppet()
    const open = () => runtimeOf('worker', worker)
    const task = await run.context.tasks.begin({ open, callId: 'c', task: 'work', title: 'work', isBackground: false })
    const work = await worker.next()
    await work.answer('done')
    await work.end()
    await run.context.tasks.ended(task.id)
    await run.answer('all done')
    await run.end()
    await house.manager.waitStopped(id, patience)
    return { id, child: task.id }
  }

  test('deletes sessions that nobody has used for long with all below them, and tells of it', async () => {
    const house = await newHouse({ sessionRetention: { ageMs: -patience } })
    const { manager } = house
    const { id, child } = await parent(house)
    const since = manager.lastFleetSeq
    await manager.retain()
    expect([await isThere(house, id), await isThere(house, child)]).toEqual([false, false])
    const { signal } = new AbortController()
    const pages = await Array.fromAsync(manager.streamFleet({ since, children: true, follow: false, signal }))
    const text = pages.flatMap((page) => (page.kind === 'frames' ? [page.data.toString()] : [])).join('')
    for (const gone of [id, child]) expect(text).toContain(`"id":"${gone}"`)
    expect(text.match(/"session_deleted"/g)).toHaveLength(2)
  })

  test('keeps sessions that run, ask, have a queue or a star, and those that are read', async () => {
    const house = await newHouse({ sessionRetention: { ageMs: -patience } })
    const { manager } = house
    const { id: runs } = await running(house)
    const { id: asks, run } = await running(house)
    const answer = run.ask(approval('x')).catch(() => {})
    const { id: queues } = await running(house)
    await manager.steerSession(queues, [{ content: 'later' }])
    await manager.cancelRun(queues, { by: 'test' }, { waitMs: patience })
    const starred = await rested(house)
    await manager.setSessionStarred(starred, true)
    const read = await rested(house)
    const leave = new AbortController()
    const reader = await manager.streamEvents(read, { since: 0, follow: true, signal: leave.signal })
    await reader.next()
    const unused = (await manager.createSession()).id
    await manager.retain()
    for (const id of [runs, asks, queues, starred, read]) expect(await isThere(house, id)).toBe(true)
    expect(await isThere(house, unused)).toBe(false)
    leave.abort()
    await house.manager.close()
    await answer
  })

  test('keeps as many of the newest sessions as it is told', async () => {
    const house = await newHouse({ sessionRetention: { ageMs: patience * 1000, newest: 1 } })
    const [old, other, newest] = [await rested(house), await rested(house), await rested(house)]
    await expect.poll(() => house.manager.getActiveSessions()).toEqual([])
    await house.manager.retain()
    const there = await Promise.all([old, other, newest].map((id) => isThere(house, id)))
    expect(there).toEqual([false, false, true])
    await house.manager.deleteSession(newest)
  })

  test('keeps a session that somebody comes back to while others are being deleted', async () => {
    const house = await newHouse({ sessionRetention: { ageMs: -patience } })
    const { manager, store } = house
    const [old, back] = [await rested(house), await rested(house)]
    store.hold(old)
    const pass = manager.retain()
    await expect.poll(() => store.waiting).toBe(1)
    await manager.updateSessionTitle(back, 'back again')
    store.release()
    await pass
    expect([await isThere(house, old), await isThere(house, back)]).toEqual([false, true])
    await manager.deleteSession(back)
  })

  test('lets a message that a client holds wait for as long as it likes (M2)', async () => {
    const house = await newHouse({ eventRetention: { ageMs: -patience } })
    const { manager } = house
    const { id, run } = await running(house)
    await manager.followUpSession(id, [{ content: 'much later' }])
    const [input] = await manager.getInputs(id)
    await manager.updateInput(id, input?.id ?? '', { held: true })
    await run.end()
    await manager.waitStopped(id, patience)
    await manager.retain()
    const next = await house.restart()
    expect(await next.manager.getInputs(id)).toMatchObject([{ id: input?.id, held_by: 'client' }])
  })

  test('leaves a gap where a request is repeated whose run is forgotten (M5)', async () => {
    const house = await newHouse({ eventRetention: { ageMs: -patience } })
    const { manager, puppet } = house
    const { id } = await manager.createSession()
    const submit = (ifBusy: IfBusy) =>
      manager.submit(id, { source: 'hand' }, { messages: [{ content: ifBusy }], ifBusy, trigger: 'stream' })
    const started = await submit('reject')
    const first = await puppet.next()
    const others = [await submit('enqueue'), await submit('steer')]
    first.followUp()
    first.steering()
    await first.end()
    await manager.waitStopped(id, patience)
    await manager.runSession(id, { source: 'chat' }, { messages: [{ content: 'last' }] })
    await manager.waitStopped(id, patience)
    await manager.retain()
    for (const submission of [started, ...others]) {
      const seen = await collect(await manager.readSubmission(submission, new AbortController().signal))
      expect(seen.map(({ event }) => event)).toMatchObject([{ type: 'gap', reason: 'retention' }])
    }
  })

  test('takes pieces out of logs, which are read on as before', async () => {
    const before = await newHouse()
    const { id, run } = await running(before)
    for (let n = 0; n < 5; n += 1) await run.say('piece')
    await run.answer('whole')
    await run.end()
    await before.manager.waitStopped(id, patience)
    const head = await before.manager.lastEventSeq(id)
    await before.manager.close()
    const house = await build(before.store, { deltaRetentionMs: -patience, ringCapacity: 1 })
    await house.manager.retain()
    const log = await readLog(house.manager, id)
    expect(typesOf(log)).not.toContain('agent_choice')
    expect(log.at(-1)?.seq).toBe(head)
    for (let since = 0; since <= head; since += 1) {
      expect(await readLog(house.manager, id, since)).toEqual(log.filter(({ seq }) => seq > since))
    }
  })
})
