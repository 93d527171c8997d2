import { describe, expect, it } from 'vitest'
import type { ForeignEvent } from '../../src/protocol/protocol.ts'
import {
  backends,
  codeOf,
  collect,
  follow,
  patience,
  readLog,
  rested,
  running,
  texts,
  typesOf,
  useStore,
} from './house.ts'
import { echo, Puppet, runtimeOf } from './test-agents.ts'

const never = new AbortController().signal

/** An event source that a test fills by hand. */
function handSource() {
  const events: ForeignEvent[] = []
  let wake = (): void => {}
  let ended = false
  return {
    push(event: ForeignEvent) {
      events.push(event)
      wake()
    },
    end() {
      ended = true
      wake()
    },
    async *source(signal: AbortSignal) {
      signal.addEventListener('abort', () => wake())
      while (!signal.aborted) {
        const event = events.shift()
        if (event !== undefined) yield event
        else if (ended) return
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    },
  }
}

describe.each(backends)('attachments over $over', (backend) => {
  const house = useStore(backend)

  it('shares a session with the runtime that is attached, and closes nothing of it', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession()
    const mine = new Puppet()
    let closed = 0
    const attachment = await manager.attachRuntime(id, { ...runtimeOf('mine', mine), close: async () => void closed++ })
    expect(await manager.getSessionStatus(id)).toMatchObject({ agent: 'mine', streaming: false })
    await manager.steerSession(id, [{ content: 'early' }])
    const { run } = await manager.runSession(id, { source: 'anything' }, { messages: [{ content: 'go' }] })
    const driven = await mine.next()
    expect(driven.steering()).toEqual(['early'])
    await driven.answer('done')
    await driven.end()
    await manager.waitStopped(id, patience)
    expect(await manager.getRun(id, run.run_id)).toMatchObject({ agent_name: 'mine', status: 'completed' })
    await manager.followUpSession(id, [{ content: 'more' }])
    await (await mine.next()).end()
    await manager.waitStopped(id, patience)
    expect(texts((await manager.getSession(id)).messages)).toEqual(['go', 'early', 'done', 'more'])
    expect([closed, attachment.signal.aborted]).toEqual([0, false])
  })

  it('refuses a second runtime, event source or injector until the first is detached', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession()
    const attach = [
      () => manager.attachRuntime(id, runtimeOf('mine', echo)),
      () => manager.registerFollowUpInjector(id, () => {}),
    ]
    for (const one of attach) {
      const attachment = await one()
      expect(await codeOf(one())).toBe('already_attached')
      attachment.detach()
      expect(await codeOf(one())).toBeUndefined()
    }
    const { source } = handSource()
    await manager.registerEventSource(id, source)
    expect(await codeOf(manager.registerEventSource(id, source))).toBe('already_attached')
  })

  it('tells an attached runtime of a deletion by its signal', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession()
    const { signal } = await manager.attachRuntime(id, runtimeOf('mine', echo))
    await manager.deleteSession(id)
    expect(signal.aborted).toBe(true)
  })

  it('tells what is attached of the end of the manager', async () => {
    const built = await house()
    const { id } = await built.manager.createSession()
    const { signal } = await built.manager.attachRuntime(id, runtimeOf('mine', echo))
    await built.restart()
    expect(signal.aborted).toBe(true)
  })

  it('wakes those who wait for a runtime', async () => {
    const built = await house()
    const { manager } = built
    const { id } = await manager.createSession()
    const waits = [manager.waitSessionAttached(id, patience), manager.waitSessionAttached(id, patience)]
    await manager.attachRuntime(id, runtimeOf('mine', echo))
    expect(await Promise.all(waits)).toEqual([true, true])
    const next = await built.restart()
    const ready = next.manager.waitReady(patience)
    await next.manager.attachRuntime(id, runtimeOf('mine', echo))
    expect(await ready).toBe(true)
  })

  it('answers as a session without a runtime once the only one is detached', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession()
    const attachment = await manager.attachRuntime(id, runtimeOf('mine', echo))
    attachment.detach()
    attachment.detach()
    expect(await codeOf(manager.getSessionStatus(id))).toBe('session_not_running')
  })

  it('pumps an event source into the log without a reader, and tells its end', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession()
    const { push, end, source } = handSource()
    expect(manager.hasEventSource(id)).toBe(false)
    await manager.registerEventSource(id, source)
    expect(manager.hasEventSource(id)).toBe(true)
    push({ type: 'theirs', session_id: id, n: 1 })
    const tail = collect(await manager.streamEvents(id, { since: undefined, follow: true, signal: never }))
    push({ type: 'agent_choice', session_id: id, content: 'x' })
    end()
    expect((await tail).map(({ seq, event }) => [seq, event.type])).toEqual([
      [1, 'theirs'],
      [2, 'agent_choice'],
      [3, 'session_exited'],
    ])
    expect((await tail)[0]?.event).toEqual({ type: 'theirs', session_id: id, n: 1 })
    expect(manager.hasEventSource(id)).toBe(false)
    await manager.updateSessionTitle(id, 'goes on')
    const log = await readLog(manager, id)
    expect(log.map(({ seq }) => seq)).toEqual([1, 2, 3, 4])
    expect(await manager.lastEventSeq(id)).toBe(4)
  })

  it('goes on with one log when a source ends while something is being committed', async () => {
    const { manager, store } = await house()
    const { id } = await manager.createSession()
    const { push, end, source } = handSource()
    await manager.registerEventSource(id, source)
    push({ type: 'theirs' })
    store.hold()
    end()
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    const titles = Promise.all([manager.updateSessionTitle(id, 'a'), manager.updateSessionTitle(id, 'b')])
    await new Promise(setImmediate)
    store.release()
    await titles
    const log = await readLog(manager, id)
    expect(log.map(({ seq }) => seq)).toEqual([1, 2, 3, 4])
    expect(typesOf(log)).toEqual(['theirs', 'session_exited', 'session_title', 'session_title'])
    expect((await manager.getSession(id)).title).toBe('b')
  })

  it('keeps what else is attached when a source ends', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession()
    const { end, source } = handSource()
    const mine = new Puppet()
    await manager.attachRuntime(id, runtimeOf('mine', mine))
    await manager.registerEventSource(id, source)
    end()
    await follow(manager, id, 'session_exited')
    expect(await manager.getSessionStatus(id)).toMatchObject({ agent: 'mine' })
    await manager.runSession(id, { source: 'any' }, { messages: [] })
    await (await mine.next()).end()
  })

  it('tells a defect of a source once, and its end', async () => {
    const { manager, defects } = await house()
    const { id } = await manager.createSession()
    const defect = new TypeError('broken source')
    await manager.registerEventSource(id, async function* () {
      yield { type: 'theirs' }
      throw defect
    })
    await follow(manager, id, 'session_exited')
    expect(defects).toEqual([defect])
  })

  it('stops pumping a source that is detached, without telling an end', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession()
    const { push, source } = handSource()
    const attachment = await manager.registerEventSource(id, source)
    push({ type: 'theirs' })
    attachment.detach()
    push({ type: 'too late' })
    await manager.updateSessionTitle(id, 'after')
    expect(typesOf(await readLog(manager, id))).not.toContain('session_exited')
    expect(typesOf(await readLog(manager, id))).not.toContain('too late')
    expect(manager.hasEventSource(id)).toBe(false)
  })

  it('gives each follow-up of a list to the injector as user input', async () => {
    const built = await house()
    const { manager } = built
    const id = await rested(built)
    const taken: string[] = []
    await manager.registerFollowUpInjector(id, ({ content }) => void taken.push(content))
    const messages = [{ content: 'a' }, { content: 'b' }]
    const sent = await manager.followUpSession(id, messages, 'key')
    expect(sent).toEqual({ streaming: true, duplicate: false })
    expect((await manager.followUpSession(id, messages, 'key')).duplicate).toBe(true)
    expect(await codeOf(manager.followUpSession(id, [{ content: 'a' }], 'key'))).toBe('idempotency_mismatch')
    expect(taken).toEqual(['a', 'b'])
    expect((await manager.getQueue(id)).followup.depth).toBe(0)
    expect((await manager.getSessionStatus(id)).streaming).toBe(false)
  })

  it('frees the key of a follow-up that the injector cannot deliver', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    const taken: string[] = []
    let broken = true
    await manager.registerFollowUpInjector(id, async ({ content }) => {
      if (broken) throw new Error('nobody is there')
      taken.push(content)
    })
    const send = () => manager.followUpSession(id, [{ content: 'a' }], 'key')
    await expect(send()).rejects.toThrow('nobody is there')
    broken = false
    expect((await send()).duplicate).toBe(false)
    expect((await send()).duplicate).toBe(true)
    expect(taken).toEqual(['a'])
    await run.end()
  })
})
